//! The get-order function: returns one order, or its events.

use app::{Caller, HttpFunction, PathKey, Problem, QueryContext};
use axum::response::Response;
use orders::{
    Order, OrderSummaries,
    order::CustomerId,
    scope::{ADMIN, FULFIL, READ},
};
#[cfg(feature = "openapi")]
use {app::openapi::Operation, cqrs::openapi::EXAMPLE_ID, orders::OrderSummary, serde_json::json};

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
const PLACED_AT: &str = "2026-11-23T20:01:07.437759Z";
#[cfg(feature = "openapi")]
const SHIPPED_AT: &str = "2026-11-24T08:30:00.000000Z";
#[cfg(feature = "openapi")]
const OF_ANOTHER_CUSTOMER: &str = "An order of another customer requires `orders/fulfil` or `orders/admin`.";

/// Completes the description of an operation.
#[cfg(feature = "openapi")]
pub fn describe(id: &str, operation: Operation) -> Operation {
    match id {
        "getOrder" => operation
            .summary("Get an order")
            .description(OF_ANOTHER_CUSTOMER)
            .example(json!({
                "order_id": EXAMPLE_ID, "customer_id": "alice", "status": "shipped", "currency": "EUR", "total": 2500,
                "item_count": 2, "items": [{ "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 }],
                "shipping_address": "1 Main Street, Springfield", "placed_at": PLACED_AT, "updated_at": SHIPPED_AT,
                "carrier": "DHL", "tracking_number": "JD0123456789", "shipped_at": SHIPPED_AT, "version": 2,
            }))
            .reads_view::<Order, OrderSummary>("The order."),
        "getOrderEvents" => operation
            .summary("Get the events of an order")
            .description(OF_ANOTHER_CUSTOMER)
            .example(json!({ "events": [
                {
                    "version": 1, "type": "order.placed", "recorded_at": PLACED_AT,
                    "data": {
                        "customer_id": "alice", "currency": "EUR", "total": 2500,
                        "items": [{ "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 }],
                        "shipping_address": "1 Main Street, Springfield",
                    },
                },
                {
                    "version": 2, "type": "order.shipped", "recorded_at": SHIPPED_AT,
                    "data": { "carrier": "DHL", "tracking_number": "JD0123456789" },
                },
            ] }))
            .reads_history::<Order>("The events of the order, oldest first."),
        _ => operation,
    }
}
