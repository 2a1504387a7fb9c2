"""The README's walk-through with the Python client of openapi-generator. The argument is the URL of a new system."""

import sys
import time

import orders_client
from orders_client import NewItem, PlaceOrder, ShipOrder

configuration = orders_client.Configuration(host=sys.argv[1])
client = orders_client.ApiClient(configuration)
commands, queries = orders_client.CommandsApi(client), orders_client.QueriesApi(client)

item = NewItem(sku="BOOK-1", quantity=2, unit_price=5_000_000_000)  # more than 32 bits
order = PlaceOrder(
    customer_id="alice", currency="EUR", items=[item], shipping_address="1 Main Street, Springfield"
)
placed = commands.place_order_with_http_info(order, idempotency_key="first")
again = commands.place_order_with_http_info(order, idempotency_key="first")
assert (placed.status_code, placed.data.version, placed.headers["etag"]) == (201, 1, '"1"'), placed
assert (again.data, again.headers["idempotency-replayed"]) == (placed.data, "true"), again
order_id = placed.data.order_id

shipment = ShipOrder(carrier="DHL", tracking_number="JD0123456789")
shipped = commands.ship_order(order_id, shipment, if_match=placed.headers["etag"])
assert shipped.version == 2, shipped
try:
    commands.ship_order(order_id, shipment)
    raise AssertionError("an order was shipped twice")
except orders_client.ApiException as error:
    assert error.status == 409 and error.data.type.endswith("/already-shipped"), error

shown = queries.get_order_with_http_info(order_id, min_version=2)
assert (shown.data.status, shown.data.total, shown.data.version) == ("shipped", 10_000_000_000, 2), shown
assert shown.headers["etag"] == '"2-s1"', shown.headers
page = queries.list_orders("alice", min_version=f"{order_id}:2")
assert [row.order_id for row in page.orders] == [order_id] and page.next_cursor is None, page

events = [event.actual_instance for event in queries.get_order_events(order_id).events]
assert [event.type for event in events] == ["order.placed", "order.shipped"], events
assert events[0].data.items[0].unit_price == 5_000_000_000 and events[1].data.carrier == "DHL", events

# The projector updates the dashboard asynchronously.
for _ in range(100):
    dashboard = queries.get_dashboard(days=1)
    if dashboard.orders == 1:
        break
    time.sleep(0.1)
assert dashboard.revenue == {"EUR": "10000000000"}, dashboard
