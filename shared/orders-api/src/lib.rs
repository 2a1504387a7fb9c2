//! The commands of orders, as clients send them: over HTTP and through a queue.
//!
//! 1. [`documents`]: the document of each command.
//! 2. `openapi`: OpenAPI schemas.

pub mod documents;
#[cfg(feature = "openapi")]
pub mod openapi;

pub use documents::{CancelOrderDocument, DeliverOrderDocument, PlaceOrderDocument, ShipOrderDocument};
