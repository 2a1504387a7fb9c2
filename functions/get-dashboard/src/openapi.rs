//! The dashboard, described.

use app::{
    Problem, Scope,
    openapi::{Operation, number},
};
use http::StatusCode;
use orders::Dashboard;

use crate::{DEFAULT_DAYS, MAX_DAYS};

/// The operations of this function.
pub fn operations() -> Vec<Operation> {
    let days = number(1, MAX_DAYS).default(Some(DEFAULT_DAYS.into()));
    vec![
        Operation::get("/dashboard", "getDashboard", "Read the counters over all orders")
            .description("Orders that are cancelled earn nothing.")
            .scopes(&[Scope::Admin])
            .query("days", "How many days are shown, today first.", days)
            .answer::<Dashboard>(StatusCode::OK, "The counters.", &[])
            .problem(Problem::malformed(format!("days must be a whole number from 1 to {MAX_DAYS}."))),
    ]
}
