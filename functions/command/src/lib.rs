//! The command function: each route executes one command on one order.
//!
//! 1. This file: the routes and their handlers.
//! 2. [`context`]: the context of a command; [`headers`]: idempotency key, expected version, trace.
//! 3. [`body`]: reads a request body strictly; [`documents`]: converts it to a command.
//! 4. [`outcome`]: converts the outcome of a command to a response.
//! 5. `openapi`: the OpenAPI description.

mod body;
mod context;
mod documents;
mod headers;
#[cfg(feature = "openapi")]
pub mod openapi;
mod outcome;

use app::{App, Caller, PathKey, Problem, Routes, Scope};
use axum::{Router, extract::Request, response::Response};
use cqrs_dynamodb::{create, execute};
use orders::{
    Order, OrderCommand,
    order::{CustomerId, OrderId},
};

use crate::{
    context::CommandContext,
    documents::{CancelOrderDocument, DeliverOrderDocument, PlaceOrderDocument, ShipOrderDocument},
};

pub fn router(app: App) -> Router {
    routes().into_router(app)
}

pub fn routes() -> Routes {
    Routes::default()
        .post("/orders", place_order)
        .post("/orders/{order_id}/ship", ship_order)
        .post("/orders/{order_id}/deliver", deliver_order)
        .post("/orders/{order_id}/cancel", cancel_order)
}

/// `POST /orders`
async fn place_order(context: CommandContext, body: Request) -> Result<Response, Problem> {
    context.caller.require_any(&[Scope::Write, Scope::Admin])?;
    context.headers.reject_if_match()?;
    let order = body::read::<PlaceOrderDocument>(body).await?.into_command(&context.caller)?;
    let order_id = match &context.headers.key {
        Some(key) => OrderId::derived(&context.caller.subject, key),
        None => OrderId::random(context.app.dynamo.environment.random_bytes()),
    };
    let request = context.request("POST /orders", order_id, OrderCommand::Place(order))?;
    outcome::placed(&context, order_id, create::<Order>(&context.events, &request, |_| true).await)
}

/// `POST /orders/{order_id}/ship`
async fn ship_order(
    context: CommandContext,
    PathKey(order_id): PathKey<OrderId>,
    body: Request,
) -> Result<Response, Problem> {
    context.caller.require_any(&[Scope::Fulfil, Scope::Admin])?;
    let command = OrderCommand::Ship(body::read::<ShipOrderDocument>(body).await?.into_command()?);
    let request = context.request("POST /orders/{order_id}/ship", order_id, command)?;
    outcome::changed(&context, order_id, execute::<Order>(&context.events, &request, |_| true).await)
}

/// `POST /orders/{order_id}/deliver`
async fn deliver_order(
    context: CommandContext,
    PathKey(order_id): PathKey<OrderId>,
    body: Request,
) -> Result<Response, Problem> {
    context.caller.require_any(&[Scope::Fulfil, Scope::Admin])?;
    let DeliverOrderDocument {} = body::read(body).await?;
    let request = context.request("POST /orders/{order_id}/deliver", order_id, OrderCommand::Deliver)?;
    outcome::changed(&context, order_id, execute::<Order>(&context.events, &request, |_| true).await)
}

/// `POST /orders/{order_id}/cancel`
async fn cancel_order(
    context: CommandContext,
    PathKey(order_id): PathKey<OrderId>,
    body: Request,
) -> Result<Response, Problem> {
    context.caller.require_any(&[Scope::Write, Scope::Admin])?;
    let command = OrderCommand::Cancel(body::read::<CancelOrderDocument>(body).await?.into_command()?);
    let request = context.request("POST /orders/{order_id}/cancel", order_id, command)?;
    let is_authorized = |order: &Order| may_cancel(&context.caller, order);
    outcome::changed(&context, order_id, execute(&context.events, &request, is_authorized).await)
}

/// Customers may cancel their own orders; `orders/admin` permits any order.
fn may_cancel(caller: &Caller, order: &Order) -> bool {
    caller.has_any(&[Scope::Admin]) || order.customer_id().map(CustomerId::as_str) == Some(&caller.subject)
}
