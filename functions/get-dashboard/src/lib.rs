//! The get-dashboard function: returns counters over all orders. `openapi` has its OpenAPI description.

#[cfg(feature = "openapi")]
pub mod openapi;

use app::{App, Caller, Parameters, Problem, Routes, Scope, WithDeadline, json};
use axum::{Router, response::Response};
use cqrs_dynamodb::CountersTable;
use http::StatusCode;
use orders::Dashboard;

const DEFAULT_DAYS: u16 = 30;
const MAX_DAYS: u64 = 90;

pub fn router(app: App) -> Router {
    routes().into_router(app)
}

pub fn routes() -> Routes {
    Routes::default().get("/dashboard", get_dashboard)
}

/// Opens the connection to DynamoDB during Lambda's init phase, which has full CPU. Costs two read units per shard.
///
/// Errors are ignored: if the cause persists, the first request fails and logs it.
pub async fn warm_up(app: &App) {
    let _ = counters(&app.for_warm_up()).row(Dashboard::TOTALS).await;
}

/// `GET /dashboard`
async fn get_dashboard(
    WithDeadline(app): WithDeadline,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Admin])?;
    let days = parameters.only(&["days"])?.number("days", 1, MAX_DAYS)?;
    let days = days.and_then(|days| u16::try_from(days).ok()).unwrap_or(DEFAULT_DAYS);
    let now = app.dynamo.environment.now();
    let [first, last] = Dashboard::day_rows(now, days);
    let mut totals_and_days = counters(&app).row(Dashboard::TOTALS).await?;
    totals_and_days += &counters(&app).rows(&first, &last).await?;
    json(StatusCode::OK, &Dashboard::new(&totals_and_days, now, days))
}

fn counters(app: &App) -> CountersTable {
    CountersTable::new(app.dynamo.clone(), app.tables.dashboard.clone())
}
