//! The command function: each route executes one command on one order.
//!
//! 1. This file: the routes and their handlers.
//! 2. [`documents`]: converts request bodies to commands.
//! 3. `openapi`: the OpenAPI description.

mod documents;
#[cfg(feature = "openapi")]
pub mod openapi;

use app::{Caller, CommandContext, HttpFunction, PathKey, Problem, command::JsonBody};
use axum::response::Response;
use orders::{
    Order, OrderCommand,
    order::CustomerId,
    scope::{ADMIN, FULFIL, WRITE},
};

use crate::documents::{CancelOrderDocument, DeliverOrderDocument, PlaceOrderDocument, ShipOrderDocument};

pub fn function() -> HttpFunction {
    HttpFunction::new("command")
        .events()
        .post("placeOrder", "/orders", &[WRITE, ADMIN], place_order)
        .post("shipOrder", "/orders/{order_id}/ship", &[FULFIL, ADMIN], ship_order)
        .post("deliverOrder", "/orders/{order_id}/deliver", &[FULFIL, ADMIN], deliver_order)
        .post("cancelOrder", "/orders/{order_id}/cancel", &[WRITE, ADMIN], cancel_order)
}

async fn place_order(
    context: CommandContext,
    JsonBody(document): JsonBody<PlaceOrderDocument>,
) -> Result<Response, Problem> {
    let order = document.into_command(&context.caller)?;
    context.create::<Order>(context.new_id(), OrderCommand::Place(order)).await
}

async fn ship_order(
    context: CommandContext,
    PathKey(order_id): PathKey<Order>,
    JsonBody(document): JsonBody<ShipOrderDocument>,
) -> Result<Response, Problem> {
    context.execute::<Order>(order_id, OrderCommand::Ship(document.into_command()?), |_| true).await
}

async fn deliver_order(
    context: CommandContext,
    PathKey(order_id): PathKey<Order>,
    JsonBody(DeliverOrderDocument {}): JsonBody<DeliverOrderDocument>,
) -> Result<Response, Problem> {
    context.execute::<Order>(order_id, OrderCommand::Deliver, |_| true).await
}

async fn cancel_order(
    context: CommandContext,
    PathKey(order_id): PathKey<Order>,
    JsonBody(document): JsonBody<CancelOrderDocument>,
) -> Result<Response, Problem> {
    let is_authorized = |order: &Order| may_cancel(&context.caller, order);
    context.execute(order_id, OrderCommand::Cancel(document.into_command()?), is_authorized).await
}

/// Customers may cancel their own orders; `orders/admin` permits any order.
fn may_cancel(caller: &Caller, order: &Order) -> bool {
    caller.has_any(&[ADMIN]) || order.customer_id().map(CustomerId::as_str) == Some(&caller.subject)
}
