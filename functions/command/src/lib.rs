//! The commands: each changes one order, or says why not.
//!
//! 1. The routes, here: from request to command to answer.
//! 2. [`body`]: how a request body is read, strictly; [`documents`]: what each may hold.
//! 3. [`headers`]: idempotency key, expected version, trace.
//! 4. [`outcome`]: what became of the command, as an answer.

mod body;
mod documents;
mod headers;
mod outcome;

use app::{App, Caller, InTime, Key, Problem, Routes, Scope};
use axum::{Router, extract::Request, response::Response};
use cqrs::{Fingerprint, StreamId};
use cqrs_dynamodb::{create, execute};
use orders::{
    Order, OrderCommand, OrderEvent,
    order::{CustomerId, OrderId},
};

use crate::{
    documents::{CancelOrderDocument, DeliverOrderDocument, PlaceOrderDocument, ShipOrderDocument},
    headers::CommandHeaders,
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
async fn place_order(
    InTime(app): InTime,
    caller: Caller,
    headers: CommandHeaders,
    request: Request,
) -> Result<Response, Problem> {
    caller.needs_any(&[Scope::Write, Scope::Admin])?;
    headers.no_expected_version()?;
    let order = body::read::<PlaceOrderDocument>(request).await?.into_command(&caller)?;
    let order_id = match &headers.key {
        Some(key) => OrderId::derived(&caller.subject, key),
        None => OrderId::random(app.dynamo.ambient.random_bytes()),
    };
    let request = asked("POST /orders", &app, &caller, &headers, order_id, OrderCommand::Place(order))?;
    outcome::placed(&headers, order_id, create::<Order>(&app.events(), &request, |_| true).await)
}

/// `POST /orders/{order_id}/ship`
async fn ship_order(
    InTime(app): InTime,
    caller: Caller,
    headers: CommandHeaders,
    Key(order_id): Key<OrderId>,
    request: Request,
) -> Result<Response, Problem> {
    caller.needs_any(&[Scope::Fulfil, Scope::Admin])?;
    let command = OrderCommand::Ship(body::read::<ShipOrderDocument>(request).await?.into_command()?);
    let request = asked("POST /orders/{order_id}/ship", &app, &caller, &headers, order_id, command)?;
    outcome::changed(&headers, order_id, execute::<Order>(&app.events(), &request, |_| true).await)
}

/// `POST /orders/{order_id}/deliver`
async fn deliver_order(
    InTime(app): InTime,
    caller: Caller,
    headers: CommandHeaders,
    Key(order_id): Key<OrderId>,
    request: Request,
) -> Result<Response, Problem> {
    caller.needs_any(&[Scope::Fulfil, Scope::Admin])?;
    let DeliverOrderDocument {} = body::read(request).await?;
    let request = asked("POST /orders/{order_id}/deliver", &app, &caller, &headers, order_id, OrderCommand::Deliver)?;
    outcome::changed(&headers, order_id, execute::<Order>(&app.events(), &request, |_| true).await)
}

/// `POST /orders/{order_id}/cancel`
async fn cancel_order(
    InTime(app): InTime,
    caller: Caller,
    headers: CommandHeaders,
    Key(order_id): Key<OrderId>,
    request: Request,
) -> Result<Response, Problem> {
    caller.needs_any(&[Scope::Write, Scope::Admin])?;
    let command = OrderCommand::Cancel(body::read::<CancelOrderDocument>(request).await?.into_command()?);
    let request = asked("POST /orders/{order_id}/cancel", &app, &caller, &headers, order_id, command)?;
    outcome::changed(&headers, order_id, execute(&app.events(), &request, |order| may_cancel(&caller, order)).await)
}

fn may_cancel(caller: &Caller, order: &Order) -> bool {
    caller.has_any(&[Scope::Admin]) || order.customer_id().map(CustomerId::as_str) == Some(&caller.subject)
}

/// The command as it was asked. Its fingerprint is over route, order and the canonical request after defaults; golden
/// ones are tested, because stored ones are compared with it for ever.
fn asked(
    route: &str,
    app: &App,
    caller: &Caller,
    headers: &CommandHeaders,
    order_id: OrderId,
    command: OrderCommand,
) -> Result<cqrs_dynamodb::Request<OrderCommand>, Problem> {
    let canonical = serde_json::to_string(&command).map_err(|error| cqrs_dynamodb::Failure::Refused(error.into()))?;
    Ok(cqrs_dynamodb::Request {
        stream: StreamId::of::<OrderEvent>(order_id),
        command_id: headers.command_id(caller, &app.dynamo.ambient),
        fingerprint: Fingerprint::of(&[route, &order_id.to_string(), &canonical]),
        expected: headers.expected,
        caller: caller.subject.clone(),
        trace: headers.trace.clone(),
        command,
    })
}
