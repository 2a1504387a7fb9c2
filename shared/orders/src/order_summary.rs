//! The view of an order, which `GET /orders/{order_id}` returns, and its row in a customer's list.

use cqrs::{Index, Projection, Recorded, Time};
use serde::{Deserialize, Serialize};

use crate::order::{
    Carrier, Currency, CustomerId, OrderCancelled, OrderEvent, OrderItems, OrderPlaced, OrderShipped, Reason,
    ShippingAddress, Status, TrackingNumber,
};

/// An order as its customer sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderSummary {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::order::OrderId))]
    pub order_id: String,
    /// The customer who owns the order.
    pub customer_id: CustomerId,
    pub status: Status,
    /// The currency of the total and of all prices.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::CurrencyCode))]
    pub currency: Currency,
    /// The sum of quantity × unit price over all items, in minor units of the currency.
    pub total: u64,
    /// The sum of the quantities.
    pub item_count: u64,
    pub items: OrderItems,
    pub shipping_address: ShippingAddress,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub placed_at: Time,
    /// The time of the last event.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub updated_at: Time,
    /// The carrier. Present after shipment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub carrier: Option<Carrier>,
    /// The carrier's tracking number. Present after shipment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub tracking_number: Option<TrackingNumber>,
    /// The time of shipment. Present after shipment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, nullable = false))]
    pub shipped_at: Option<Time>,
    /// The time of delivery. Present after delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, nullable = false))]
    pub delivered_at: Option<Time>,
    /// The time of cancellation. Present after cancellation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, nullable = false))]
    pub cancelled_at: Option<Time>,
    /// The reason for the cancellation. Present after cancellation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub cancel_reason: Option<Reason>,
}

/// An order in its customer's list.
///
/// Rows are read from the index, which has rows of older schema versions until their views are folded anew. A new field
/// therefore needs a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(description = "An order in a customer's list."))]
pub struct ListedOrder {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::order::OrderId))]
    pub order_id: String,
    pub status: Status,
    /// The currency of the total.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::CurrencyCode))]
    pub currency: Currency,
    /// The total, in minor units of the currency.
    pub total: u64,
    /// The sum of the quantities.
    pub item_count: u64,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub placed_at: Time,
}

impl From<OrderSummary> for ListedOrder {
    fn from(order: OrderSummary) -> Self {
        let OrderSummary { order_id, status, currency, total, item_count, placed_at, .. } = order;
        Self { order_id, status, currency, total, item_count, placed_at }
    }
}

/// Folds an order's stream into its [`OrderSummary`].
#[derive(Debug)]
pub struct OrderSummaries;

impl OrderSummaries {
    /// A customer's orders by the time of placement. Its rows are [`ListedOrder`]s.
    pub const BY_CUSTOMER: Index = Index {
        name: "by-customer",
        partition: &["customer_id"],
        sort: &["placed_at"],
        shows: &["status", "currency", "total", "item_count"],
    };
}

impl Projection for OrderSummaries {
    type Event = OrderEvent;
    type View = OrderSummary;

    const NAME: &'static str = "order-summaries";
    const KEY: &'static str = "order_id";
    const SCHEMA: u32 = 1;
    const INDEXES: &'static [Index] = &[Self::BY_CUSTOMER];

    fn evolve(view: Option<OrderSummary>, recorded: Recorded<'_, OrderEvent>) -> Option<OrderSummary> {
        let at = Time::from(recorded.recorded_at);
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
}

fn placed(order_id: &str, order: &OrderPlaced, at: Time) -> OrderSummary {
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

    fn items() -> serde_json::Value {
        json!([
            { "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 },
            { "sku": "PEN-7", "quantity": 1, "unit_price": 300 },
        ])
    }

    fn placed() -> OrderEvent {
        event(
            "order.placed",
            json!({
                "customer_id": "alice", "currency": "EUR", "items": items(), "total": 2800,
                "shipping_address": "1 Main Street",
            }),
        )
    }

    /// Returns the summary of the order of `placed()`, with the fields of `changes` added or replaced.
    pub(crate) fn summary(changes: serde_json::Value) -> OrderSummary {
        let mut summary = json!({
            "order_id": "42", "customer_id": "alice", "status": "placed", "currency": "EUR", "total": 2800,
            "item_count": 3, "items": items(), "shipping_address": "1 Main Street",
            "placed_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z",
        });
        summary.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(summary).unwrap()
    }

    fn shipped() -> OrderEvent {
        event("order.shipped", json!({ "carrier": "DHL", "tracking_number": "JD01" }))
    }

    #[test]
    fn the_summary_of_a_placed_order_has_its_items_and_their_total() {
        given_stream::<OrderSummaries>("42", [("2026-11-22T10:00:00Z", placed())]).then(summary(json!({})));
    }

    #[test]
    fn the_summary_of_a_delivered_order_has_its_shipment_and_delivery() {
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
    fn the_summary_of_a_cancelled_order_has_the_reason() {
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
    fn an_order_that_was_not_placed_has_no_summary() {
        given_stream::<OrderSummaries>("42", [("2026-11-22T10:00:00Z", shipped())]).then(None);
    }
}
