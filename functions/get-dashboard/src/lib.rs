//! The get-dashboard function: returns counters over all orders.

#[cfg(feature = "openapi")]
use app::openapi::{Operation, number};
use app::{HttpFunction, Problem, QueryContext, json};
use axum::response::Response;
use cqrs::Rollup;
use http::StatusCode;
use orders::{Dashboard, scope::ADMIN};
#[cfg(feature = "openapi")]
use serde_json::json as document;

const DEFAULT_DAYS: u16 = 30;
const MAX_DAYS: u64 = 90;

pub fn function() -> HttpFunction {
    HttpFunction::new("get-dashboard").rollup::<Dashboard>().get("getDashboard", "/dashboard", &[ADMIN], get_dashboard)
}

async fn get_dashboard(query: QueryContext) -> Result<Response, Problem> {
    query.parameters.only(&["days"])?;
    let days = query.parameters.number("days", 1, MAX_DAYS)?;
    let days = days.and_then(|days| u16::try_from(days).ok()).unwrap_or(DEFAULT_DAYS);
    let now = query.app.dynamo.environment.now();
    let [first, last] = Dashboard::day_rows(now, days);
    let counters = query.app.counters(Dashboard::TABLE)?;
    let mut totals_and_days = counters.row(Dashboard::TOTALS).await?;
    totals_and_days += &counters.rows(&first, &last).await?;
    json(StatusCode::OK, &Dashboard::new(&totals_and_days, now, days))
}

/// Completes the description of an operation.
#[cfg(feature = "openapi")]
pub fn describe(id: &str, operation: Operation) -> Operation {
    let days = number(1, MAX_DAYS).default(Some(DEFAULT_DAYS.into()));
    match id {
        "getDashboard" => operation
            .summary("Get the counters over all orders")
            .description("Revenue does not include cancelled orders.")
            .query_parameter("days", "The number of days to return, today first.", days)
            .example(document!({
                "orders": 1, "by_status": { "placed": 0, "shipped": 1, "delivered": 0, "cancelled": 0 },
                "revenue": { "EUR": "2500" },
                "days": [{ "date": "2026-11-23", "orders": 1, "revenue": { "EUR": "2500" } }],
            }))
            .response::<Dashboard>(StatusCode::OK, "The counters.", &[])
            .problem(Problem::malformed(format!("days must be a whole number from 1 to {MAX_DAYS}."))),
        _ => operation,
    }
}
