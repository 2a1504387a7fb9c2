//! The command function: each route executes one command on one order.
//!
//! 1. This file: the routes. [`orders_api`] has their documents.
//! 2. `openapi`: the OpenAPI description.

#[cfg(feature = "openapi")]
pub mod openapi;

use app::HttpFunction;
use orders_api::{CancelOrderDocument, DeliverOrderDocument, PlaceOrderDocument, ShipOrderDocument};

pub fn function() -> HttpFunction {
    HttpFunction::new("command")
        .events()
        .command::<PlaceOrderDocument>("placeOrder", "/orders")
        .command::<ShipOrderDocument>("shipOrder", "/orders/{order_id}/ship")
        .command::<DeliverOrderDocument>("deliverOrder", "/orders/{order_id}/deliver")
        .command::<CancelOrderDocument>("cancelOrder", "/orders/{order_id}/cancel")
}
