"""The README's walk-through with the client of openapi-python-client. The argument is the URL of a new system."""

import sys
import time

from orders_client import Client
from orders_client.api.commands import place_order, ship_order
from orders_client.api.queries import get_dashboard, get_order, get_order_events, list_orders
from orders_client.models import (
    CurrencyCode,
    NewItem,
    OrderPlacedEvent,
    OrderShippedEvent,
    PlaceOrder,
    ShipOrder,
    Status,
)

client = Client(base_url=sys.argv[1])

item = NewItem(sku="BOOK-1", quantity=2, unit_price=5_000_000_000)  # more than 32 bits
order = PlaceOrder(
    customer_id="alice", currency=CurrencyCode.EUR, items=[item], shipping_address="1 Main Street, Springfield"
)
placed = place_order.sync_detailed(client=client, body=order, idempotency_key="first")
again = place_order.sync_detailed(client=client, body=order, idempotency_key="first")
assert (placed.status_code, placed.parsed.version, placed.headers["etag"]) == (201, 1, '"1"'), placed
assert (again.parsed, again.headers["idempotency-replayed"]) == (placed.parsed, "true"), again
order_id = placed.parsed.order_id

shipment = ShipOrder(carrier="DHL", tracking_number="JD0123456789")
shipped = ship_order.sync(order_id, client=client, body=shipment, if_match=placed.headers["etag"])
assert shipped.version == 2, shipped
refused = ship_order.sync_detailed(order_id, client=client, body=shipment)
assert refused.status_code == 409 and refused.parsed.type_.endswith("/already-shipped"), refused

shown = get_order.sync_detailed(order_id, client=client, min_version=2)
assert (shown.parsed.status, shown.parsed.total, shown.parsed.version) == (Status.SHIPPED, 10_000_000_000, 2), shown
assert shown.headers["etag"] == '"2-s1"', shown.headers
page = list_orders.sync("alice", client=client, min_version=f"{order_id}:2")
assert [row.order_id for row in page.orders] == [order_id] and page.next_cursor is None, page

events = get_order_events.sync(order_id, client=client).events
assert [type(event) for event in events] == [OrderPlacedEvent, OrderShippedEvent], events
assert events[0].data.items[0].unit_price == 5_000_000_000 and events[1].data.carrier == "DHL", events

# The projector updates the dashboard asynchronously.
for _ in range(100):
    dashboard = get_dashboard.sync(client=client, days=1)
    if dashboard.orders == 1:
        break
    time.sleep(0.1)
assert dashboard.revenue.additional_properties == {"EUR": "10000000000"}, dashboard
