//! The OpenAPI description of a customer's orders.

use app::{
    Problem, Scope,
    openapi::{Operation, VersionedSchema, number, reference, text},
};
use http::StatusCode;
use orders::{ListedOrder, Status, order::CustomerId};

use crate::{
    OrderList,
    query::{DEFAULT_LIMIT, MAX_LIMIT},
};

pub(crate) type ListedOrderSchema = VersionedSchema<ListedOrder>;

const MIN_VERSION: &str = "An order id, a colon and a version. The list shows that order at this version or a later \
                           one, even if its view is not up to date yet.";

pub fn operations() -> Vec<Operation> {
    let limit = number(1, MAX_LIMIT).default(Some(DEFAULT_LIMIT.into()));
    let min_version = text(
        "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:[1-9][0-9]{0,15}$",
        "27debfb8-bd42-8131-9d45-532727018fe6:2",
    );
    vec![
        Operation::get("/customers/{customer_id}/orders", "listOrders", "List a customer's orders, newest first")
            .description("The orders of another customer require `orders/fulfil` or `orders/admin`.")
            .scopes(&[Scope::Read, Scope::Fulfil, Scope::Admin])
            .path_parameter("customer_id", "The id of the customer.", reference::<CustomerId>())
            .query_parameter("limit", "The maximum number of orders to return.", limit)
            .query_parameter("cursor", "The `next_cursor` of the previous page.", text("^[A-Za-z0-9_-]+$", "kXq3"))
            .query_parameter("status", "Returns only orders with this status.", reference::<Status>())
            .query_parameter("min_version", MIN_VERSION, min_version)
            .response::<OrderList>(StatusCode::OK, "A page of the orders.", &[])
            .problem(Problem::malformed("cursor must be the next_cursor of a page of this list."))
            .problem(Problem::customer_not_found())
            .problem(Problem::version_not_found())
            .problem(Problem::view_parked()),
    ]
}
