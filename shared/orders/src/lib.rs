//! The domain, pure: what an order is, what may happen to it, and how it is shown.
//!
//! 1. [`order`]: the aggregate with its commands, events and rules, and the values they are made of.
//! 2. [`order_summary`]: the view of one order, and its row in a customer's list.
//! 3. [`dashboard`]: the counters over all orders.
//!
//! Beside them, `openapi`: the schemas of their values, for the description of the API.

// A new event or status must break the build wherever it matters.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod dashboard;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod order;
pub mod order_summary;

pub use dashboard::Dashboard;
pub use order::{Order, OrderCommand, OrderEvent, OrderRejection, Status};
pub use order_summary::{ListedOrder, OrderSummaries, OrderSummary};
