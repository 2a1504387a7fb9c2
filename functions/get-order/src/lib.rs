//! One order: as it stands, and how it came to that.
//!
//! 1. The routes, here.
//! 2. [`history`]: an order's events as a document.
//! 3. `openapi`: the same, described.

mod history;
#[cfg(feature = "openapi")]
pub mod openapi;

use app::{App, Caller, Parameters, PathKey, Problem, Routes, Scope, WithDeadline, etag::respond_conditionally, json};
use axum::{Router, response::Response};
use cqrs::{Aggregate, StreamId};
use cqrs_dynamodb::{ReadOutcome, Reader, Views};
use http::{HeaderMap, StatusCode};
use orders::{
    Order, OrderEvent, OrderSummaries,
    order::{CustomerId, OrderId},
};

use crate::history::History;

/// The function.
pub fn router(app: App) -> Router {
    routes().over(app)
}

/// Its routes.
pub fn routes() -> Routes {
    Routes::default().get("/orders/{order_id}", get_order).get("/orders/{order_id}/events", get_events)
}

/// `GET /orders/{order_id}`
async fn get_order(
    WithDeadline(app): WithDeadline,
    caller: Caller,
    PathKey(order_id): PathKey<OrderId>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.needs_any(&[Scope::Read, Scope::Fulfil, Scope::Admin])?;
    let at_least = parameters.only(&["min_version"])?.version("min_version")?;
    match reader(&app).read(&order_id.to_string(), at_least).await? {
        ReadOutcome::Found(order) if may_see(&caller, &order.view.customer_id) => {
            Ok(respond_conditionally(&headers, order.version, json(StatusCode::OK, &order)?))
        }
        ReadOutcome::Found(_) | ReadOutcome::NotFound => Err(Problem::not_found()),
        ReadOutcome::VersionNotFound(Some(order)) if may_see(&caller, &order.customer_id) => {
            Err(Problem::version_not_found())
        }
        ReadOutcome::Parked(Some(order)) if may_see(&caller, &order.customer_id) => Err(Problem::view_parked()),
        // Whose it is cannot be told; that it is not there would be wrong.
        ReadOutcome::Parked(None) => Err(Problem::view_parked()),
        ReadOutcome::VersionNotFound(_) | ReadOutcome::Parked(Some(_)) => Err(Problem::not_found()),
    }
}

/// `GET /orders/{order_id}/events`
async fn get_events(
    WithDeadline(app): WithDeadline,
    caller: Caller,
    PathKey(order_id): PathKey<OrderId>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.needs_any(&[Scope::Read, Scope::Fulfil, Scope::Admin])?;
    parameters.only(&[])?;
    let commits = app.events().load::<OrderEvent>(&StreamId::of::<OrderEvent>(order_id)).await?;
    let order = Order::replay(commits.iter().flat_map(|commit| &commit.events));
    match (commits.last(), order.customer_id()) {
        (Some(head), Some(customer_id)) if may_see(&caller, customer_id) => {
            Ok(respond_conditionally(&headers, head.version, json(StatusCode::OK, &History::of(&commits)?)?))
        }
        _ => Err(Problem::not_found()),
    }
}

fn reader(app: &App) -> Reader<OrderSummaries> {
    Reader::new(Views::new(app.dynamo.clone(), app.tables.order_summaries.clone()), app.events())
}

fn may_see(caller: &Caller, customer_id: &CustomerId) -> bool {
    caller.has_any(&[Scope::Fulfil, Scope::Admin]) || customer_id.as_str() == caller.subject
}
