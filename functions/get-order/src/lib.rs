//! The get-order function: returns one order, or its events.

use app::{Caller, HttpFunction, PathKey, Problem, QueryContext};
use axum::response::Response;
use orders::{
    Order, OrderSummaries,
    order::CustomerId,
    scope::{ADMIN, FULFIL, READ},
};
#[cfg(feature = "openapi")]
use {app::openapi::Operation, orders::OrderSummary};

pub fn function() -> HttpFunction {
    HttpFunction::new("get-order")
        .events()
        .views::<OrderSummaries>()
        .get("getOrder", "/orders/{order_id}", &[READ, FULFIL, ADMIN], get_order)
        .get("getOrderEvents", "/orders/{order_id}/events", &[READ, FULFIL, ADMIN], get_events)
}

async fn get_order(query: QueryContext, PathKey(order_id): PathKey<Order>) -> Result<Response, Problem> {
    query.view::<OrderSummaries>(order_id, |caller, order| may_see(caller, Some(&order.customer_id))).await
}

async fn get_events(query: QueryContext, PathKey(order_id): PathKey<Order>) -> Result<Response, Problem> {
    query.history::<Order>(order_id, |caller, order| may_see(caller, order.customer_id())).await
}

/// Customers may see their own orders; `orders/fulfil` and `orders/admin` permit any order.
fn may_see(caller: &Caller, customer_id: Option<&CustomerId>) -> bool {
    let is_own = customer_id.map(CustomerId::as_str) == Some(&caller.subject);
    customer_id.is_some() && (is_own || caller.has_any(&[FULFIL, ADMIN]))
}

#[cfg(feature = "openapi")]
const OF_ANOTHER_CUSTOMER: &str = "An order of another customer requires `orders/fulfil` or `orders/admin`.";

/// Completes the description of an operation.
#[cfg(feature = "openapi")]
pub fn describe(id: &str, operation: Operation) -> Operation {
    match id {
        "getOrder" => operation
            .summary("Get an order")
            .description(OF_ANOTHER_CUSTOMER)
            .reads_view::<Order, OrderSummary>("The order."),
        "getOrderEvents" => operation
            .summary("Get the events of an order")
            .description(OF_ANOTHER_CUSTOMER)
            .reads_history::<Order>("The events of the order, oldest first."),
        _ => operation,
    }
}
