//! The commands: each changes one order, or says why not.
//!
//! 1. The routes, here: from request to command to answer.
//! 2. [`context`]: the context of a command; [`headers`]: idempotency key, expected version, trace.
//! 3. [`body`]: how a request body is read, strictly; [`documents`]: what each may hold.
//! 4. [`outcome`]: what became of the command, as an answer.
//! 5. `openapi`: the same, described.

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

/// The function.
pub fn router(app: App) -> Router {
    routes().over(app)
}

/// Its routes.
pub fn routes() -> Routes {
    Routes::default()
        .post("/orders", place_order)
        .post("/orders/{order_id}/ship", ship_order)
        .post("/orders/{order_id}/deliver", deliver_order)
        .post("/orders/{order_id}/cancel", cancel_order)
}

/// `POST /orders`
async fn place_order(context: CommandContext, body: Request) -> Result<Response, Problem> {
    context.caller.needs_any(&[Scope::Write, Scope::Admin])?;
    context.headers.no_expected_version()?;
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
    context.caller.needs_any(&[Scope::Fulfil, Scope::Admin])?;
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
    context.caller.needs_any(&[Scope::Fulfil, Scope::Admin])?;
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
    context.caller.needs_any(&[Scope::Write, Scope::Admin])?;
    let command = OrderCommand::Cancel(body::read::<CancelOrderDocument>(body).await?.into_command()?);
    let request = context.request("POST /orders/{order_id}/cancel", order_id, command)?;
    let may = |order: &Order| may_cancel(&context.caller, order);
    outcome::changed(&context, order_id, execute(&context.events, &request, may).await)
}

/// One's own order, or any for an administrator.
fn may_cancel(caller: &Caller, order: &Order) -> bool {
    caller.has_any(&[Scope::Admin]) || order.customer_id().map(CustomerId::as_str) == Some(&caller.subject)
}
