//! The OpenAPI description of the dashboard.

use app::{
    Problem, Scope,
    openapi::{Operation, number},
};
use http::StatusCode;
use orders::Dashboard;

use crate::{DEFAULT_DAYS, MAX_DAYS};

pub fn operations() -> Vec<Operation> {
    let days = number(1, MAX_DAYS).default(Some(DEFAULT_DAYS.into()));
    vec![
        Operation::get("/dashboard", "getDashboard", "Get the counters over all orders")
            .description("Revenue does not include cancelled orders.")
            .scopes(&[Scope::Admin])
            .query_parameter("days", "The number of days to return, today first.", days)
            .response::<Dashboard>(StatusCode::OK, "The counters.", &[])
            .problem(Problem::malformed(format!("days must be a whole number from 1 to {MAX_DAYS}."))),
    ]
}
