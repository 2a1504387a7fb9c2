//! The public events of an order: what other systems hear of. They are a contract, and have forms of their own.
//!
//! They name no address, tracking number or reason. A system that needs one reads the order over the API, where scopes
//! decide who may.

use cqrs::{PublicEvent, Publication, Recorded, Time};
use serde::Serialize;

use crate::{
    OrderEvent,
    order::{Carrier, Currency, CustomerId, OrderPlaced, OrderShipped},
};

/// A public event of an order.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", content = "data")]
pub enum PublicOrderEvent {
    /// An order was placed.
    #[serde(rename = "order.placed")]
    Placed(PublicOrderPlaced),
    /// An order was handed over to a carrier.
    #[serde(rename = "order.shipped")]
    Shipped(PublicOrderShipped),
    /// An order was delivered.
    #[serde(rename = "order.delivered")]
    Delivered(PublicOrderDelivered),
    /// An order was cancelled before its shipment.
    #[serde(rename = "order.cancelled")]
    Cancelled(PublicOrderCancelled),
}

/// The data of the public event `order.placed`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicOrderPlaced {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::order::OrderId))]
    pub order_id: String,
    /// The customer who owns the order.
    pub customer_id: CustomerId,
    /// The sum of quantity × unit price over all items, in minor units of the currency.
    #[cfg_attr(feature = "openapi", schema(maximum = 9007199254740991_u64))]
    pub total: u64,
    /// The ISO 4217 code of the currency of the total. New codes may appear.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Z]{3}$"))]
    pub currency: Currency,
    /// The sum of the quantities.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub item_count: u64,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub placed_at: Time,
}

/// The data of the public event `order.shipped`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicOrderShipped {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::order::OrderId))]
    pub order_id: String,
    pub carrier: Carrier,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub shipped_at: Time,
}

/// The data of the public event `order.delivered`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicOrderDelivered {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::order::OrderId))]
    pub order_id: String,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub delivered_at: Time,
}

/// The data of the public event `order.cancelled`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicOrderCancelled {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::order::OrderId))]
    pub order_id: String,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub cancelled_at: Time,
}

impl PublicEvent for PublicOrderEvent {
    const SCHEMAS: &'static [(&'static str, u32)] =
        &[("order.placed", 1), ("order.shipped", 1), ("order.delivered", 1), ("order.cancelled", 1)];
}

/// Publishes every event of an order.
#[derive(Debug)]
pub struct OrderPublication;

impl Publication for OrderPublication {
    type Event = OrderEvent;
    type Public = PublicOrderEvent;

    const NAME: &'static str = "order-publication";

    fn publish(recorded: Recorded<'_, OrderEvent>) -> Option<PublicOrderEvent> {
        let (order_id, at) = (recorded.stream.key().to_owned(), Time::from(recorded.recorded_at));
        Some(match recorded.event {
            OrderEvent::Placed(OrderPlaced { customer_id, currency, items, total, shipping_address: _ }) => {
                PublicOrderEvent::Placed(PublicOrderPlaced {
                    order_id,
                    customer_id: customer_id.clone(),
                    total: *total,
                    currency: *currency,
                    item_count: items.count(),
                    placed_at: at,
                })
            }
            OrderEvent::Shipped(OrderShipped { carrier, tracking_number: _ }) => {
                PublicOrderEvent::Shipped(PublicOrderShipped { order_id, carrier: carrier.clone(), shipped_at: at })
            }
            OrderEvent::Delivered {} => {
                PublicOrderEvent::Delivered(PublicOrderDelivered { order_id, delivered_at: at })
            }
            OrderEvent::Cancelled(_) => {
                PublicOrderEvent::Cancelled(PublicOrderCancelled { order_id, cancelled_at: at })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use cqrs::spec::{DECIDED_AT, when_recorded};
    use serde_json::{Value, json};

    use super::*;

    /// The key of the stream in [`when_recorded`].
    const ORDER_ID: &str = "1";

    fn event(event_type: &str, data: Value) -> OrderEvent {
        serde_json::from_value(json!({ "type": event_type, "data": data })).unwrap()
    }

    fn at() -> Time {
        DECIDED_AT.to_owned().try_into().unwrap()
    }

    #[test]
    fn a_placed_order_is_published_with_its_total_and_without_its_address_and_items() {
        let items = json!([
            { "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 },
            { "sku": "PEN-7", "quantity": 1, "unit_price": 300 },
        ]);
        let placed = event(
            "order.placed",
            json!({ "customer_id": "alice", "currency": "EUR", "items": items, "total": 2800,
                    "shipping_address": "1 Main Street, Springfield" }),
        );
        when_recorded::<OrderPublication>(placed).then_published(PublicOrderEvent::Placed(PublicOrderPlaced {
            order_id: ORDER_ID.to_owned(),
            customer_id: "alice".to_owned().try_into().unwrap(),
            total: 2800,
            currency: Currency::EUR,
            item_count: 3,
            placed_at: at(),
        }));
    }

    #[test]
    fn a_shipment_is_published_with_its_carrier_and_without_its_tracking_number() {
        let shipped = event("order.shipped", json!({ "carrier": "DHL", "tracking_number": "JD0123456789" }));
        when_recorded::<OrderPublication>(shipped).then_published(PublicOrderEvent::Shipped(PublicOrderShipped {
            order_id: ORDER_ID.to_owned(),
            carrier: "DHL".to_owned().try_into().unwrap(),
            shipped_at: at(),
        }));
    }

    #[test]
    fn a_delivery_is_published_with_its_time() {
        when_recorded::<OrderPublication>(OrderEvent::Delivered {}).then_published(PublicOrderEvent::Delivered(
            PublicOrderDelivered { order_id: ORDER_ID.to_owned(), delivered_at: at() },
        ));
    }

    #[test]
    fn a_cancellation_is_published_without_its_reason() {
        let cancelled = event("order.cancelled", json!({ "reason": "changed my mind" }));
        when_recorded::<OrderPublication>(cancelled).then_published(PublicOrderEvent::Cancelled(
            PublicOrderCancelled { order_id: ORDER_ID.to_owned(), cancelled_at: at() },
        ));
    }
}
