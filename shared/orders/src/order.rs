//! The order aggregate: commands, events, rejections, state, decide and evolve, in this order.
//!
//! The types of the values in commands and events have their own files. A value cannot be built outside its bounds.

mod currency;
mod items;

use cqrs::{Aggregate, Event, Id, SubjectId, Text};
pub use iso_currency::Currency;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
pub(crate) use self::currency::is_in_use;
pub use self::{
    currency::currency,
    items::{MAX_ITEMS, MAX_TOTAL, OrderItem, OrderItems, Quantity, Sku, UnitPrice},
};

pub type OrderId = Id<Order>;
/// The customer who owns an order.
pub type CustomerId = SubjectId;
pub type ShippingAddress = Text<500>;
pub type Carrier = Text<100>;
pub type TrackingNumber = Text<100>;
/// The reason for a cancellation.
pub type Reason = Text<500>;

// ── Commands ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// A request to one order. Its serialization is the input of the stored fingerprints and must not change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderCommand {
    Place(PlaceOrder),
    Ship(ShipOrder),
    Deliver,
    Cancel(CancelOrder),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlaceOrder {
    pub customer_id: CustomerId,
    pub currency: Currency,
    pub items: OrderItems,
    pub shipping_address: ShippingAddress,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShipOrder {
    pub carrier: Carrier,
    pub tracking_number: TrackingNumber,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CancelOrder {
    pub reason: Reason,
}

// ── Events ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// An event of an order. This is a storage format: every schema version of every event has a file in `golden/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(description = "An event of an order."))]
#[serde(tag = "type", content = "data")]
pub enum OrderEvent {
    /// The order was placed.
    #[serde(rename = "order.placed")]
    Placed(OrderPlaced),
    /// The order was handed over to a carrier.
    #[serde(rename = "order.shipped")]
    Shipped(OrderShipped),
    /// The order was delivered.
    #[serde(rename = "order.delivered")]
    Delivered {},
    /// The order was cancelled.
    #[serde(rename = "order.cancelled")]
    Cancelled(OrderCancelled),
}

/// The data of `order.placed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderPlaced {
    /// The customer who owns the order.
    pub customer_id: CustomerId,
    /// The currency of the total and of all prices.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::CurrencyCode))]
    pub currency: Currency,
    pub items: OrderItems,
    /// The sum of quantity × unit price over all items, in minor units of the currency.
    pub total: u64,
    pub shipping_address: ShippingAddress,
}

/// The data of `order.shipped`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderShipped {
    pub carrier: Carrier,
    /// The carrier's tracking number.
    pub tracking_number: TrackingNumber,
}

/// The data of `order.cancelled`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderCancelled {
    pub reason: Reason,
}

impl Event for OrderEvent {
    const CATEGORY: &'static str = "order";
    const SCHEMAS: &'static [(&'static str, u32)] =
        &[("order.placed", 1), ("order.shipped", 1), ("order.delivered", 1), ("order.cancelled", 1)];
}

// ── Rejections ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// A rule that forbids a command in the order's state. The type of the problem ends with the name of the variant, as in
/// `already-placed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum OrderRejection {
    #[error("the order has already been placed")]
    AlreadyPlaced,
    #[error("the order has not been placed")]
    NotPlaced,
    #[error("the order has not been shipped")]
    NotShipped,
    #[error("the order has already been shipped")]
    AlreadyShipped,
    #[error("the order has already been delivered")]
    AlreadyDelivered,
    #[error("the order has already been cancelled")]
    AlreadyCancelled,
}

// ── State ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The state of an order: only the facts that the business rules and the ownership check need.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Order {
    #[default]
    NotPlaced,
    Placed {
        customer_id: CustomerId,
        status: Status,
    },
}

/// The status of an order, in the sequence of the order lifecycle.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    Placed,
    Shipped,
    Delivered,
    Cancelled,
}

impl Order {
    /// Returns the customer who owns the order, or `None` before it is placed.
    pub fn customer_id(&self) -> Option<&CustomerId> {
        match self {
            Self::NotPlaced => None,
            Self::Placed { customer_id, .. } => Some(customer_id),
        }
    }

    /// Returns the status, or `None` before the order is placed.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::NotPlaced => None,
            Self::Placed { status, .. } => Some(*status),
        }
    }

    fn with_status(self, status: Status) -> Self {
        match self {
            Self::NotPlaced => Self::NotPlaced,
            Self::Placed { customer_id, .. } => Self::Placed { customer_id, status },
        }
    }
}

impl Aggregate for Order {
    type Key = OrderId;
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Rejection = OrderRejection;

    fn facts(&self) -> Vec<(&'static str, String)> {
        let status = self.status().map(<&str>::from);
        status.map(|status| ("order_status", status.to_owned())).into_iter().collect()
    }

    // ── Decide ─────────────────────────────────────────────────────────────────────────────────────────────────────

    fn decide(&self, command: OrderCommand, _at: Timestamp) -> Result<Vec<OrderEvent>, OrderRejection> {
        use OrderCommand::{Cancel, Deliver, Place, Ship};
        use OrderRejection::{
            AlreadyCancelled, AlreadyDelivered, AlreadyPlaced, AlreadyShipped, NotPlaced, NotShipped,
        };
        use Status::{Cancelled, Delivered, Placed, Shipped};

        match (self.status(), command) {
            (None, Place(order)) => Ok(vec![placed(order)]),
            (Some(_), Place(_)) => Err(AlreadyPlaced),
            (None, Ship(_) | Deliver | Cancel(_)) => Err(NotPlaced),

            (Some(Placed), Ship(shipment)) => Ok(vec![shipped(shipment)]),
            (Some(Shipped), Ship(_) | Cancel(_)) => Err(AlreadyShipped),
            (Some(Delivered), Ship(_) | Deliver | Cancel(_)) => Err(AlreadyDelivered),
            (Some(Cancelled), Ship(_) | Cancel(_)) => Err(AlreadyCancelled),

            (Some(Shipped), Deliver) => Ok(vec![OrderEvent::Delivered {}]),
            (Some(Placed | Cancelled), Deliver) => Err(NotShipped),

            (Some(Placed), Cancel(cancellation)) => Ok(vec![cancelled(cancellation)]),
        }
    }

    // ── Evolve ─────────────────────────────────────────────────────────────────────────────────────────────────────

    fn evolve(self, event: &OrderEvent) -> Self {
        match event {
            OrderEvent::Placed(order) => {
                Self::Placed { customer_id: order.customer_id.clone(), status: Status::Placed }
            }
            OrderEvent::Shipped(_) => self.with_status(Status::Shipped),
            OrderEvent::Delivered {} => self.with_status(Status::Delivered),
            OrderEvent::Cancelled(_) => self.with_status(Status::Cancelled),
        }
    }
}

fn placed(PlaceOrder { customer_id, currency, items, shipping_address }: PlaceOrder) -> OrderEvent {
    let total = items.total();
    OrderEvent::Placed(OrderPlaced { customer_id, currency, items, total, shipping_address })
}

fn shipped(ShipOrder { carrier, tracking_number }: ShipOrder) -> OrderEvent {
    OrderEvent::Shipped(OrderShipped { carrier, tracking_number })
}

fn cancelled(CancelOrder { reason }: CancelOrder) -> OrderEvent {
    OrderEvent::Cancelled(OrderCancelled { reason })
}

#[cfg(test)]
mod tests;
