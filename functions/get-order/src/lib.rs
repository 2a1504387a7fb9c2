//! The get-order function: returns one order, or its events.
//!
//! 1. This file: the routes and their handlers.
//! 2. [`history`]: the document of an order's events.
//! 3. `openapi`: the OpenAPI description.

mod history;
#[cfg(feature = "openapi")]
pub mod openapi;

use app::{
    App, Caller, Parameters, PathKey, Problem, Routes, Scope, Versioned, WithDeadline, etag::respond_conditionally,
    json,
};
use axum::{Router, response::Response};
use cqrs::{Aggregate, StreamId};
use cqrs_dynamodb::{ReadOutcome, Reader, Views};
use http::{HeaderMap, StatusCode};
use orders::{
    Order, OrderEvent, OrderSummaries,
    order::{CustomerId, OrderId},
};

use crate::history::OrderHistory;

pub fn router(app: App) -> Router {
    routes().into_router(app)
}

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
    caller.require_any(&[Scope::Read, Scope::Fulfil, Scope::Admin])?;
    let min_version = parameters.only(&["min_version"])?.version("min_version")?;
    match reader(&app).read(&order_id.to_string(), min_version).await? {
        ReadOutcome::Found { view, version, behind } if may_see(&caller, &view.customer_id) => {
            let order = Versioned { view, version, behind };
            Ok(respond_conditionally(&headers, version, json(StatusCode::OK, &order)?))
        }
        ReadOutcome::Found { .. } | ReadOutcome::NotFound => Err(Problem::not_found()),
        ReadOutcome::VersionNotFound(Some(order)) if may_see(&caller, &order.customer_id) => {
            Err(Problem::version_not_found())
        }
        ReadOutcome::Parked(Some(order)) if may_see(&caller, &order.customer_id) => Err(Problem::view_parked()),
        // The owner is unknown, because no event can be folded. 404 would wrongly say that the order does not exist.
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
    caller.require_any(&[Scope::Read, Scope::Fulfil, Scope::Admin])?;
    parameters.only(&[])?;
    let commits = app.events().load::<OrderEvent>(&StreamId::of::<OrderEvent>(order_id)).await?;
    let order = Order::replay(commits.iter().flat_map(|commit| &commit.events));
    match (commits.last(), order.customer_id()) {
        (Some(head), Some(customer_id)) if may_see(&caller, customer_id) => Ok(respond_conditionally(
            &headers,
            head.version,
            json(StatusCode::OK, &OrderHistory::from_commits(&commits)?)?,
        )),
        _ => Err(Problem::not_found()),
    }
}

fn reader(app: &App) -> Reader<OrderSummaries> {
    Reader::new(Views::new(app.dynamo.clone(), app.tables.order_summaries.clone()), app.events())
}

fn may_see(caller: &Caller, customer_id: &CustomerId) -> bool {
    caller.has_any(&[Scope::Fulfil, Scope::Admin]) || customer_id.as_str() == caller.subject
}
