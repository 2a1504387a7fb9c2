//! The maintain function and `cargo operate`: verify, rebuild, redrive and sweep the read models of a live system.
//!
//! Every operation may be interrupted at any point and repeated. All writes go through [`Projector::catch_up`] and are
//! conditional. No operation writes an event. Read the crate in this order:
//!
//! 1. [`rebuild`]: catches up all streams in place.
//! 2. [`verify`]: compares views and counters with the events.
//! 3. [`redrive`]: catches up parked streams.
//! 4. [`sweep`]: catches up the streams of discarded batches.
//! 5. [`segments`]: walks all streams in parallel segments.
//! 6. [`step`]: the part of a job that fits into one invocation. A state machine invokes the function step by step.

pub mod rebuild;
pub mod redrive;
pub mod segments;
pub mod step;
pub mod sweep;
pub mod verify;

use app::{App, problem::causes};
use cqrs::DeclarationError;
use cqrs_dynamodb::{Projector, StoreError};
use lambda_runtime::{Error, LambdaEvent};
use orders::Orders;

use crate::step::MaintenanceStep;

/// Builds the projector with every read model of the system. A test compares the projections with those of the
/// projector function.
///
/// # Errors
/// [`DeclarationError`]. `main` builds the projector once, so that such a mistake stops the function at its start.
pub fn projector(app: &App) -> Result<Projector, DeclarationError> {
    app.projector::<Orders>()
}

/// Formats an error and its chain of sources as one line.
pub fn with_causes(error: &StoreError) -> String {
    match causes(error) {
        causes if causes.is_empty() => error.to_string(),
        causes => format!("{error}: {causes}"),
    }
}

/// Runs one step of a job and returns the updated step. Safe to repeat: all writes are conditional.
///
/// # Errors
/// [`step::StepError`]. The state machine retries the step from its input.
pub async fn handle(app: &App, event: LambdaEvent<MaintenanceStep>) -> Result<MaintenanceStep, Error> {
    Ok(event.payload.run(&app.with_deadline(event.context.deadline)).await?)
}
