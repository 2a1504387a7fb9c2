//! The projector function: catches the read models of any domain up with a batch of stream records. Read it in this
//! order:
//!
//! 1. [`run`]: the function on Lambda. [`handle`]: one invocation.
//! 2. [`batch`]: sorts the records of a batch by stream.
//! 3. [`telemetry`]: metrics, logs and traces of a batch.

mod batch;
mod telemetry;

use app::App;
use cqrs::Domain;
use lambda_runtime::{Error, LambdaEvent};
use serde::Serialize;
use serde_json::Value;

use crate::batch::Batch;

/// Runs the projector of all read models of `D` on Lambda: the only line of its `main`.
///
/// # Errors
/// The first environment variable that is missing or malformed, a mistake in the declarations, or an error of the
/// runtime.
pub fn run<D: Domain>() -> Result<(), Error> {
    app::start::run::<D, _, _, _>(|app, event| async move { handle::<D>(&app, event).await })
}

/// The response to a batch. It names the record from which Lambda delivers the batch again.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// Empty if all records were handled.
    batch_item_failures: Vec<BatchItemFailure>,
}

/// The record that Lambda delivers again, with all later ones.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    /// The sequence number of the record.
    item_identifier: String,
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
    let records = event.payload.get("Records").and_then(Value::as_array).ok_or("the event has no list of records")?;
    let batch = Batch::read(records);
    let report = app.projector::<D>()?.catch_up(&batch.requests).await;
    telemetry::emit(&app, &event.context, began, &batch, &report);

    let failure = batch.retry_from(report.failed.keys())?;
    let failures = failure.map(|item_identifier| BatchItemFailure { item_identifier });
    Ok(BatchResponse { batch_item_failures: failures.into_iter().collect() })
}
