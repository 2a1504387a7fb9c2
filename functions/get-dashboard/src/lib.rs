//! The dashboard: the counters over all orders. `openapi` describes it.

#[cfg(feature = "openapi")]
pub mod openapi;

use app::{App, Caller, Parameters, Problem, Routes, Scope, WithDeadline, json};
use axum::{Router, response::Response};
use cqrs_dynamodb::CountersTable;
use http::StatusCode;
use orders::Dashboard;

const DEFAULT_DAYS: u16 = 30;
const MAX_DAYS: u64 = 90;

/// The function.
pub fn router(app: App) -> Router {
    routes().over(app)
}

/// Its routes.
pub fn routes() -> Routes {
    Routes::default().get("/dashboard", get_dashboard)
}

/// Opens the connection to DynamoDB while Lambda starts the function at full speed: two read units a shard.
pub async fn warm_up(app: &App) {
    // A failure is none of the start's: the first request will meet it and say so.
    let _ = counters(&app.for_warm_up()).row(Dashboard::TOTALS).await;
}

/// `GET /dashboard`
async fn get_dashboard(
    WithDeadline(app): WithDeadline,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Problem> {
    caller.needs_any(&[Scope::Admin])?;
    let days = parameters.only(&["days"])?.number("days", 1, MAX_DAYS)?;
    let days = days.and_then(|days| u16::try_from(days).ok()).unwrap_or(DEFAULT_DAYS);
    let now = app.dynamo.environment.now();
    let [first, last] = Dashboard::day_rows(now, days);
    let mut read = counters(&app).row(Dashboard::TOTALS).await?;
    read += &counters(&app).rows(&first, &last).await?;
    json(StatusCode::OK, &Dashboard::new(&read, now, days))
}

fn counters(app: &App) -> CountersTable {
    CountersTable::new(app.dynamo.clone(), app.tables.dashboard.clone())
}
