//! The maintain function and `cargo operate`: verify, rebuild, redrive and sweep the read models of a live system. The
//! functions take the domain `D` that declares the read models.
//!
//! Every operation may be interrupted at any point and repeated. All writes are conditional and go through
//! [`catch_up`](cqrs_dynamodb::Projector::catch_up). No operation writes an event. Read the crate in this order:
//!
//! 1. [`rebuild`]: catches up all streams in place.
//! 2. [`verify`]: compares views and counters with the events; [`counters`]: rebuilds the counters.
//! 3. [`redrive`]: catches up parked streams.
//! 4. [`sweep`]: catches up the streams of discarded batches.
//! 5. [`republish`]: publishes events again.
//! 6. [`segments`]: walks all streams in parallel segments.
//! 7. [`step`]: the part of a job that fits into one invocation. A state machine invokes the function step by step.
//! 8. `operate`: the operator's command line, with the feature of this name.

pub mod counters;
#[cfg(feature = "operate")]
pub mod operate;
pub mod rebuild;
pub mod redrive;
pub mod republish;
pub mod segments;
pub mod step;
pub mod sweep;
pub mod verify;

use app::{App, problem::causes, start::UsedTables};
use cqrs::Domain;
use cqrs_dynamodb::StoreError;
use lambda_runtime::{Error, LambdaEvent};
use messaging::publisher::{projector_of_all, publisher};

use crate::step::MaintenanceStep;

/// Formats an error and its chain of sources as one line.
pub fn with_causes(error: &StoreError) -> String {
    match causes(error) {
        causes if causes.is_empty() => error.to_string(),
        causes => format!("{error}: {causes}"),
    }
}

/// Runs the function on Lambda for all read models of `D`: the only line of its `main`.
///
/// # Errors
/// The first environment variable that is missing or malformed, a mistake in the declarations, or an error of the
/// runtime.
pub fn run<D: Domain>() -> Result<(), Error> {
    // Unlike `cargo operate`, the function must be able to publish.
    let check = |app: &App| {
        publisher::<D>(app)?;
        Ok(projector_of_all::<D>(app).map(drop)?)
    };
    app::start::run::<D, _, _, _>(UsedTables::All, check, |app, event| async move { handle::<D>(&app, event).await })
}

/// Runs one step of a job and returns the updated step. Safe to repeat: all writes are conditional.
///
/// # Errors
/// [`step::StepError`]. The state machine retries the step from its input.
pub async fn handle<D: Domain>(app: &App, event: LambdaEvent<MaintenanceStep>) -> Result<MaintenanceStep, Error> {
    Ok(event.payload.run::<D>(&app.with_deadline(event.context.deadline)).await?)
}
