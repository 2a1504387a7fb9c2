//! The projector function: catches the read models of any domain up with a batch of stream records. Read it in this
//! order:
//!
//! 1. [`run`]: the function on Lambda. [`handle`]: one invocation.
//! 2. [`batch`]: sorts the records of a batch by stream.
//! 3. [`telemetry`]: metrics, logs and traces of a batch.

mod batch;
mod telemetry;

use app::App;
use aws_lambda_events::{
    dynamodb::Event,
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use cqrs::Domain;
use lambda_runtime::{Error, LambdaEvent};

use crate::batch::Batch;

/// Runs the projector of all read models of `D` on Lambda: the only line of its `main`.
///
/// # Errors
/// The first environment variable that is missing or malformed, a mistake in the declarations, or an error of the
/// runtime.
pub fn run<D: Domain>() -> Result<(), Error> {
    app::start::run::<D, _, _, _>(|app, event| async move { handle::<D>(&app, event).await })
}

/// Catches up every stream that has a record in the batch. Safe to repeat.
///
/// The response names the first record whose stream was not caught up. Lambda delivers this record and all later ones
/// again.
///
/// # Errors
/// If that record has no sequence number, without which the response cannot name it.
pub async fn handle<D: Domain>(app: &App, event: LambdaEvent<Event>) -> Result<DynamoDbEventResponse, Error> {
    let (app, began) = (app.with_deadline(event.context.deadline), app.dynamo.environment.now());
    let batch = Batch::read(event.payload.records);
    let report = app.projector::<D>()?.catch_up(&batch.requests).await;
    telemetry::emit(&app, &event.context, began, &batch, &report);

    let mut response = DynamoDbEventResponse::default();
    if let Some(record) = batch.first_of(report.failed.keys()) {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(record.ok_or("the failed record has no sequence number")?);
        response.batch_item_failures.push(failure);
    }
    Ok(response)
}
