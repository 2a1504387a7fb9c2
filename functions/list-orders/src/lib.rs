//! The list-orders function: returns a customer's orders, newest first.

use app::{Caller, HttpFunction, PathText, Problem, QueryContext, query::List};
use axum::response::Response;
use orders::{
    ListedOrder, Order, OrderSummaries,
    order::CustomerId,
    scope::{ADMIN, FULFIL, READ},
};
#[cfg(feature = "openapi")]
use {
    app::openapi::{Operation, reference},
    cqrs::openapi::{EXAMPLE_ID, UUID},
    orders::Status,
    serde_json::json,
};

pub fn function() -> HttpFunction {
    HttpFunction::new("list-orders").events().list::<OrderSummaries>(&OrderSummaries::BY_CUSTOMER).get(
        "listOrders",
        "/customers/{customer_id}/orders",
        &[READ, FULFIL, ADMIN],
        list_orders,
    )
}

async fn list_orders(query: QueryContext, PathText(customer_id): PathText) -> Result<Response, Problem> {
    require_permission(&query.caller, &customer_id)?;
    // Earlier versions accepted ids that a new order cannot have. Their orders can still be listed.
    if !(1..=CustomerId::MAX).contains(&customer_id.chars().count()) {
        return Err(Problem::not_found("customer"));
    }
    List::<Order, OrderSummaries, ListedOrder>::new("orders", &OrderSummaries::BY_CUSTOMER, &[&customer_id])
        .filter(&query.parameters, "status", |order| order.status)?
        .respond(&query)
        .await
}

/// Customers may list their own orders; `orders/fulfil` and `orders/admin` permit any list.
fn require_permission(caller: &Caller, customer_id: &str) -> Result<(), Problem> {
    if caller.subject == customer_id { Ok(()) } else { caller.require_any(&[FULFIL, ADMIN]) }
}

/// Completes the description of an operation.
#[cfg(feature = "openapi")]
pub fn describe(id: &str, operation: Operation) -> Operation {
    match id {
        "listOrders" => operation
            .summary("List a customer's orders, newest first")
            .description("The orders of another customer require `orders/fulfil` or `orders/admin`.")
            .path_parameter("customer_id", "The id of the customer.", reference::<CustomerId>())
            .query_parameter("status", "Returns only orders with this status.", reference::<Status>())
            .example(json!({
                "orders": [{
                    "order_id": EXAMPLE_ID, "status": "shipped", "currency": "EUR", "total": 2500, "item_count": 2,
                    "placed_at": "2026-11-23T20:01:07.437759Z", "version": 2,
                }],
                "next_cursor": null,
            }))
            .lists::<Order, ListedOrder>(
                "orders",
                "A page of the orders.",
                (&format!("^{UUID}:[1-9][0-9]{{0,15}}$"), &format!("{EXAMPLE_ID}:2")),
            )
            .problem(Problem::not_found("customer")),
        _ => operation,
    }
}
