//! The projector function: catches the read models of any domain up with a batch of stream records. Read it in this
//! order:
//!
//! 1. [`run`]: the function on Lambda. [`handle`]: one invocation.
//! 2. [`telemetry`]: metrics, logs and traces of a batch.

mod telemetry;

use app::{App, BatchResponse, start::UsedTables, stream_batch::StreamBatch};
use cqrs::Domain;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;

/// Runs the projector of all read models of `D` on Lambda: the only line of its `main`.
///
/// # Errors
/// The first environment variable that is missing or malformed, a mistake in the declarations, or an error of the
/// runtime.
pub fn run<D: Domain>() -> Result<(), Error> {
    let check = |app: &App| Ok(app.projector::<D>().map(drop)?);
    app::start::run::<D, _, _, _>(
        UsedTables::ReadModels,
        check,
        |app, event| async move { handle::<D>(&app, event).await },
    )
}

/// Catches up every stream that has a record in the batch. Safe to repeat.
///
/// The event may be any JSON with a list of records. The response names the first record whose stream was not caught
/// up, or the nearest record before it that has a sequence number. Lambda delivers this record and all later ones
/// again.
///
/// # Errors
/// If the event has no list of records, if the declarations of the domain have a mistake, or if neither the first
/// record that failed nor one before it has a sequence number.
pub async fn handle<D: Domain>(app: &App, event: LambdaEvent<Value>) -> Result<BatchResponse, Error> {
    let (app, began) = (app.with_deadline(event.context.deadline), app.dynamo.environment.now());
    let batch = StreamBatch::of(&event.payload)?;
    let report = app.projector::<D>()?.catch_up(&batch.requests).await;
    telemetry::emit(&app, &event.context, began, &batch, &report);
    Ok(batch.response(&report)?)
}
