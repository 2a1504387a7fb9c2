//! The order: the aggregate that decides everything that may happen to one.
//!
//! Commands, events, rejections, state, decide, evolve: in this order. The values they are made of stand in files of
//! their own; each can only be built within its bounds.

mod bounded;
mod ids;
mod items;
mod text;

use cqrs::{Aggregate, Event};
pub use iso_currency::Currency;
use serde::{Deserialize, Serialize};

pub use self::{
    bounded::Bounded,
    ids::{CustomerId, OrderId},
    items::{MAX_ITEMS, MAX_TOTAL, OrderItem, OrderItems, Quantity, Sku, UnitPrice},
    text::Text,
};

/// Where an order goes.
pub type ShippingAddress = Text<500>;
/// Who brings it.
pub type Carrier = Text<100>;
/// How its way can be followed.
pub type TrackingNumber = Text<100>;
/// Why it was cancelled.
pub type Reason = Text<500>;

/// A value that is not within its bounds; says what it must be, and does not repeat it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub String);

// ── Commands ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// What may be asked of an order. Its serialisation is the canonical request behind a fingerprint: stored for ever.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderCommand {
    /// Buy something.
    Place(PlaceOrder),
    /// Hand it over to a carrier.
    Ship(ShipOrder),
    /// It has arrived.
    Deliver,
    /// Call it off.
    Cancel(CancelOrder),
}

/// Buy something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlaceOrder {
    /// Whose order it will be.
    pub customer_id: CustomerId,
    /// What the prices are in.
    pub currency: Currency,
    /// What is bought.
    pub items: OrderItems,
    /// Where it goes.
    pub shipping_address: ShippingAddress,
}

/// Hand it over to a carrier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShipOrder {
    /// Who brings it.
    pub carrier: Carrier,
    /// How its way can be followed.
    pub tracking_number: TrackingNumber,
}

/// Call it off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CancelOrder {
    /// Why.
    pub reason: Reason,
}

// ── Events ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What happened to an order. A storage format: every version of every event has a file under `golden/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", content = "data")]
pub enum OrderEvent {
    /// It was bought.
    #[serde(rename = "order.placed")]
    Placed(OrderPlaced),
    /// It was handed over to a carrier.
    #[serde(rename = "order.shipped")]
    Shipped(OrderShipped),
    /// It has arrived.
    #[serde(rename = "order.delivered")]
    Delivered {},
    /// It was called off.
    #[serde(rename = "order.cancelled")]
    Cancelled(OrderCancelled),
}

/// It was bought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderPlaced {
    /// Whose order it is.
    pub customer_id: CustomerId,
    /// What the prices are in.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::CurrencyCode))]
    pub currency: Currency,
    /// What was bought.
    pub items: OrderItems,
    /// What it cost, in minor units.
    pub total: u64,
    /// Where it goes.
    pub shipping_address: ShippingAddress,
}

/// It was handed over to a carrier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderShipped {
    /// Who brings it.
    pub carrier: Carrier,
    /// How its way can be followed.
    pub tracking_number: TrackingNumber,
}

/// It was called off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderCancelled {
    /// Why.
    pub reason: Reason,
}

impl Event for OrderEvent {
    const CATEGORY: &'static str = "order";
    const SCHEMAS: &'static [(&'static str, u32)] =
        &[("order.placed", 1), ("order.shipped", 1), ("order.delivered", 1), ("order.cancelled", 1)];
}

// ── Rejections ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// Why an order does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRejection {
    /// There is such an order already.
    #[error("the order has already been placed")]
    AlreadyPlaced,
    /// There is no such order.
    #[error("the order has not been placed")]
    NotPlaced,
    /// It has not left the house.
    #[error("the order has not been shipped")]
    NotShipped,
    /// It has left the house.
    #[error("the order has already been shipped")]
    AlreadyShipped,
    /// It has arrived.
    #[error("the order has already been delivered")]
    AlreadyDelivered,
    /// It was called off.
    #[error("the order has already been cancelled")]
    AlreadyCancelled,
}

// ── State ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// An order, as far as its rules need to know it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Order {
    /// There is none yet.
    #[default]
    NotPlaced,
    /// This customer's order has this status.
    Placed {
        /// Whose order it is.
        customer_id: CustomerId,
        /// How far it has come.
        status: Status,
    },
}

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Bought.
    Placed,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
    /// Called off.
    Cancelled,
}

impl Status {
    /// All of them, in the order of an order's life.
    pub const ALL: [Self; 4] = [Self::Placed, Self::Shipped, Self::Delivered, Self::Cancelled];

    /// The word for it in documents and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Order {
    /// Whose order it is; nobody's before it is placed.
    pub fn customer_id(&self) -> Option<&CustomerId> {
        match self {
            Self::NotPlaced => None,
            Self::Placed { customer_id, .. } => Some(customer_id),
        }
    }

    /// How far it has come; nowhere before it is placed.
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
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Rejection = OrderRejection;

    // ── Decide ─────────────────────────────────────────────────────────────────────────────────────────────────────

    fn decide(&self, command: OrderCommand) -> Result<Vec<OrderEvent>, OrderRejection> {
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
