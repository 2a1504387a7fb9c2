//! The publisher function: publishes the public events of any domain for a batch of stream records. Read it in this
//! order:
//!
//! 1. [`run`]: the function on Lambda. [`handle`]: one invocation.
//! 2. [`telemetry`]: metrics and logs of a batch.

mod telemetry;

use app::{App, BatchResponse, start::UsedTables, stream_batch::StreamBatch};
use cqrs::Domain;
use lambda_runtime::{Error, LambdaEvent};
use messaging::publisher;
use serde_json::Value;

/// Runs the publisher of all publications of `D` on Lambda: the only line of its `main`.
///
/// # Errors
/// The first environment variable that is missing or malformed, a mistake in the declarations, or an error of the
/// runtime.
pub fn run<D: Domain>() -> Result<(), Error> {
    let check = |app: &App| Ok(publisher::<D>(app).map(drop)?);
    app::start::run::<D, _, _, _>(UsedTables::Publications, check, |app, event| async move {
        handle::<D>(&app, event).await
    })
}

/// Publishes the public events of every stream that has a record in the batch. A repeat may publish events again.
///
/// The event may be any JSON with a list of records. Lambda delivers the batch again from the first record whose stream
/// was not caught up.
///
/// # Errors
/// If the event has no list of records, if the declarations of the domain or the settings have a mistake, or if neither
/// the first record that failed nor one before it has a sequence number.
pub async fn handle<D: Domain>(app: &App, event: LambdaEvent<Value>) -> Result<BatchResponse, Error> {
    let app = app.with_deadline(event.context.deadline);
    let batch = StreamBatch::of(&event.payload)?;
    let report = publisher::<D>(&app)?.catch_up(&batch.requests).await;
    telemetry::emit(&app, &batch, &report);
    Ok(batch.response(&report)?)
}
