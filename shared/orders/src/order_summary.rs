//! The view of one order: what `GET /orders/{order_id}` answers, and the row of it that a customer's list shows.

use cqrs::{Projection, Recorded};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::order::{
    Carrier, Currency, CustomerId, OrderCancelled, OrderEvent, OrderItems, OrderPlaced, OrderShipped, Reason,
    ShippingAddress, Status, TrackingNumber,
};

/// An order as its customer sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderSummary {
    /// Which order.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::order::OrderId))]
    pub order_id: String,
    /// Whose order.
    pub customer_id: CustomerId,
    /// How far it has come.
    pub status: Status,
    /// What the prices are in.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::CurrencyCode))]
    pub currency: Currency,
    /// What it costs, in minor units.
    pub total: u64,
    /// How many articles: the sum of the quantities.
    pub item_count: u64,
    /// What was bought.
    pub items: OrderItems,
    /// Where it goes.
    pub shipping_address: ShippingAddress,
    /// When it was placed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub placed_at: Timestamp,
    /// When something last happened to it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
    /// Who brings it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub carrier: Option<Carrier>,
    /// How its way can be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub tracking_number: Option<TrackingNumber>,
    /// When it was shipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime, nullable = false))]
    pub shipped_at: Option<Timestamp>,
    /// When it arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime, nullable = false))]
    pub delivered_at: Option<Timestamp>,
    /// When it was called off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime, nullable = false))]
    pub cancelled_at: Option<Timestamp>,
    /// Why it was called off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub cancel_reason: Option<Reason>,
}

/// An order as a row in its customer's list: read from the index, where rows of older schemas stand until they are
/// folded anew. A field that is added needs a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(description = "An order as a row in a list."))]
pub struct ListedOrder {
    /// Which order.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::order::OrderId))]
    pub order_id: String,
    /// How far it has come.
    pub status: Status,
    /// What the prices are in.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::CurrencyCode))]
    pub currency: Currency,
    /// What it costs, in minor units.
    pub total: u64,
    /// How many articles: the sum of the quantities.
    pub item_count: u64,
    /// When it was placed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub placed_at: Timestamp,
}

impl ListedOrder {
    /// Where the row stands in its customer's list: time, to the microsecond and always as wide, then id.
    pub fn position(&self) -> String {
        position(self.placed_at, &self.order_id)
    }
}

impl From<OrderSummary> for ListedOrder {
    fn from(order: OrderSummary) -> Self {
        let OrderSummary { order_id, status, currency, total, item_count, placed_at, .. } = order;
        Self { order_id, status, currency, total, item_count, placed_at }
    }
}

/// Where the row of an order that was placed then stands in its customer's list.
fn position(placed_at: Timestamp, order_id: &str) -> String {
    format!("{placed_at:.6}#{order_id}")
}

/// Folds an order's stream into its [`OrderSummary`].
#[derive(Debug)]
pub struct OrderSummaries;

impl OrderSummaries {
    /// The index that a customer's list is read from.
    pub const BY_CUSTOMER: &'static str = "by-customer";
    /// The index's attribute that holds a row's [position](ListedOrder::position).
    pub const POSITION: &'static str = "placed";
}

impl Projection for OrderSummaries {
    type Event = OrderEvent;
    type View = OrderSummary;

    const NAME: &'static str = "order-summaries";
    const KEY: &'static str = "order_id";
    const SCHEMA: u32 = 1;

    fn evolve(view: Option<OrderSummary>, recorded: Recorded<'_, OrderEvent>) -> Option<OrderSummary> {
        let at = recorded.recorded_at;
        match recorded.event {
            OrderEvent::Placed(order) => Some(placed(recorded.stream.key(), order, at)),
            OrderEvent::Shipped(OrderShipped { carrier, tracking_number }) => view.map(|view| OrderSummary {
                status: Status::Shipped,
                carrier: Some(carrier.clone()),
                tracking_number: Some(tracking_number.clone()),
                shipped_at: Some(at),
                updated_at: at,
                ..view
            }),
            OrderEvent::Delivered {} => view.map(|view| OrderSummary {
                status: Status::Delivered,
                delivered_at: Some(at),
                updated_at: at,
                ..view
            }),
            OrderEvent::Cancelled(OrderCancelled { reason }) => view.map(|view| OrderSummary {
                status: Status::Cancelled,
                cancelled_at: Some(at),
                cancel_reason: Some(reason.clone()),
                updated_at: at,
                ..view
            }),
        }
    }

    fn index(view: &OrderSummary) -> Vec<(&'static str, String)> {
        vec![(Self::POSITION, position(view.placed_at, &view.order_id))]
    }
}

fn placed(order_id: &str, order: &OrderPlaced, at: Timestamp) -> OrderSummary {
    OrderSummary {
        order_id: order_id.to_owned(),
        customer_id: order.customer_id.clone(),
        status: Status::Placed,
        currency: order.currency,
        total: order.total,
        item_count: order.items.count(),
        items: order.items.clone(),
        shipping_address: order.shipping_address.clone(),
        placed_at: at,
        updated_at: at,
        carrier: None,
        tracking_number: None,
        shipped_at: None,
        delivered_at: None,
        cancelled_at: None,
        cancel_reason: None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use cqrs::spec::given_stream;
    use serde_json::json;

    use super::*;

    fn event(event_type: &str, data: serde_json::Value) -> OrderEvent {
        serde_json::from_value(json!({ "type": event_type, "data": data })).unwrap()
    }

    fn placed() -> OrderEvent {
        event(
            "order.placed",
            json!({
                "customer_id": "alice", "currency": "EUR", "total": 2800, "shipping_address": "1 Main Street",
                "items": [{ "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 }, { "sku": "PEN-7", "quantity": 1, "unit_price": 300 }],
            }),
        )
    }

    /// The summary of the order that this page places, with more or other fields.
    pub(crate) fn summary(changes: serde_json::Value) -> OrderSummary {
        let mut summary = json!({
            "order_id": "42", "customer_id": "alice", "status": "placed", "currency": "EUR", "total": 2800,
            "item_count": 3, "shipping_address": "1 Main Street",
            "items": [{ "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 }, { "sku": "PEN-7", "quantity": 1, "unit_price": 300 }],
            "placed_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z",
        });
        summary.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(summary).unwrap()
    }

    fn shipped() -> OrderEvent {
        event("order.shipped", json!({ "carrier": "DHL", "tracking_number": "JD01" }))
    }

    #[test]
    fn a_placed_order_shows_its_items_and_their_total() {
        given_stream::<OrderSummaries>("42", [("2026-11-22T10:00:00Z", placed())]).then(summary(json!({})));
    }

    #[test]
    fn a_delivered_order_shows_its_whole_way() {
        given_stream::<OrderSummaries>(
            "42",
            [
                ("2026-11-22T10:00:00Z", placed()),
                ("2026-11-23T08:00:00Z", shipped()),
                ("2026-11-24T16:30:00Z", event("order.delivered", json!({}))),
            ],
        )
        .then(summary(json!({
            "status": "delivered", "carrier": "DHL", "tracking_number": "JD01",
            "shipped_at": "2026-11-23T08:00:00Z", "delivered_at": "2026-11-24T16:30:00Z",
            "updated_at": "2026-11-24T16:30:00Z",
        })));
    }

    #[test]
    fn a_cancelled_order_shows_why() {
        given_stream::<OrderSummaries>(
            "42",
            [
                ("2026-11-22T10:00:00Z", placed()),
                ("2026-11-22T11:00:00Z", event("order.cancelled", json!({ "reason": "too slow" }))),
            ],
        )
        .then(summary(json!({
            "status": "cancelled", "cancel_reason": "too slow", "cancelled_at": "2026-11-22T11:00:00Z",
            "updated_at": "2026-11-22T11:00:00Z",
        })));
    }

    #[test]
    fn nothing_is_shown_of_an_order_that_was_not_placed() {
        given_stream::<OrderSummaries>("42", [("2026-11-22T10:00:00Z", shipped())]).then(None);
    }

    #[test]
    fn positions_in_a_list_sort_as_times_do_whatever_their_fractions() {
        let at = |time: &str| position(time.parse().unwrap(), "42");
        assert_eq!(at("2026-11-22T10:00:00Z"), "2026-11-22T10:00:00.000000Z#42");
        assert!(at("2026-11-22T10:00:00Z") < at("2026-11-22T10:00:00.5Z"));
        assert!(at("2026-11-22T10:00:00.5Z") < at("2026-11-22T10:00:00.500001Z"));
    }
}
