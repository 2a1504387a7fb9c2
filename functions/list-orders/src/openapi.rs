//! A customer's orders, described.

use app::{
    Problem, Scope,
    openapi::{Operation, VersionedSchema, number, reference, text},
};
use http::StatusCode;
use orders::{ListedOrder, Status, order::CustomerId};

use crate::{
    List,
    query::{DEFAULT_LIMIT, MAX_LIMIT},
};

/// A row, with its version.
pub(crate) type Row = VersionedSchema<ListedOrder>;

const MIN_VERSION: &str = "An order's id, a colon and a version: shows that order at this version or a later one, \
                           whether the projector has come by or not.";

/// The operations of this function.
pub fn operations() -> Vec<Operation> {
    let limit = number(1, MAX_LIMIT).default(Some(DEFAULT_LIMIT.into()));
    let min_version = text(
        "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:[1-9][0-9]{0,15}$",
        "27debfb8-bd42-8131-9d45-532727018fe6:2",
    );
    vec![
        Operation::get("/customers/{customer_id}/orders", "listOrders", "Read a customer's orders, newest first")
            .description("One's own; any with `orders/fulfil` or `orders/admin`.")
            .scopes(&[Scope::Read, Scope::Fulfil, Scope::Admin])
            .key("customer_id", "Whose orders.", reference::<CustomerId>())
            .query("limit", "How many are shown at most.", limit)
            .query("cursor", "The `next_cursor` of the page before.", text("^[A-Za-z0-9_-]+$", "kXq3"))
            .query("status", "Shows orders with this status alone.", reference::<Status>())
            .query("min_version", MIN_VERSION, min_version)
            .answer::<List>(StatusCode::OK, "A page of them.", &[])
            .problem(Problem::malformed("cursor must be the next_cursor of this same list."))
            .problem(Problem::not_found())
            .problem(Problem::version_not_found())
            .problem(Problem::view_parked()),
    ]
}
