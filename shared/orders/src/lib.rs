//! The order domain, pure: the rules of an order and its read models. Read it in this order:
//!
//! 1. [`order`]: the aggregate with its commands, events and rules, and their values.
//! 2. [`order_summary`]: the view of an order, and its row in a customer's list.
//! 3. [`dashboard`]: the counters over all orders.
//! 4. [`domain`]: declares the read models above.
//!
//! The module `openapi` has the OpenAPI schemas of these types.

// A new event or status must break the build wherever it matters.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod dashboard;
pub mod domain;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod order;
pub mod order_summary;

pub use dashboard::Dashboard;
pub use domain::Orders;
pub use order::{Order, OrderCommand, OrderEvent, OrderRejection, Status};
pub use order_summary::{ListedOrder, OrderSummaries, OrderSummary};
