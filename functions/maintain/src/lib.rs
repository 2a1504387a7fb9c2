//! What operators do with read models: rebuild them, hold them against the events, and set free what is parked.
//!
//! All of it may be done while the system is live, cut short at any point, and done again: everything goes through
//! [`Projector::catch_up`], whose writes are conditional. Nothing here writes an event.
//!
//! 1. [`rebuild`]: catches up all streams, in place.
//! 2. [`verify`]: holds views and counters against the events.
//! 3. [`redrive`]: tries parked streams again, or any.
//! 4. [`sweep`]: catches up what batches that were given up were about.
//! 5. [`segments`]: how all streams are gone through, side by side.
//! 6. [`step`]: as much of it as an invocation has time for.
//!
//! On AWS it is a function, whose steps a state machine asks for. The command line of it is `cargo operate`.

pub mod rebuild;
pub mod redrive;
pub mod segments;
pub mod step;
pub mod sweep;
pub mod verify;

use app::{App, problem::causes};
use cqrs_dynamodb::{CountersTable, Projector, StoreError, Views};
use lambda_runtime::{Error, LambdaEvent};
use orders::{Dashboard, OrderSummaries};

use crate::step::MaintenanceStep;

/// All projections there are: those of the projector function, as a test sees to.
pub fn projector(app: &App) -> Projector {
    let order_summaries = Views::<OrderSummaries>::new(app.dynamo.clone(), app.tables.order_summaries.clone());
    let dashboard = CountersTable::new(app.dynamo.clone(), app.tables.dashboard.clone());
    Projector::new(app.events()).with_rollup::<OrderSummaries, Dashboard>(order_summaries, dashboard)
}

/// A failure and its causes, in one line for operators.
pub fn with_causes(error: &StoreError) -> String {
    format!("{error}: {}", causes(error))
}

/// Goes on with a segment of a job, as long as there is time. Answers with what is left of it.
///
/// # Errors
/// [`step::StepError`]: it is to be begun again.
pub async fn handle(app: &App, event: LambdaEvent<MaintenanceStep>) -> Result<MaintenanceStep, Error> {
    Ok(event.payload.take(&app.with_deadline(event.context.deadline)).await?)
}
