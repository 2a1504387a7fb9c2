//! The projector function: catches the read models up with a batch of stream records. Read it in this order:
//!
//! 1. [`handle`]: one invocation; [`projector()`]: the projections of the system.
//! 2. [`batch`]: sorts the records of a batch by stream.
//! 3. [`telemetry`]: metrics, logs and traces of a batch.

mod batch;
mod telemetry;

use app::App;
use aws_lambda_events::{
    dynamodb::Event,
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use cqrs::DeclarationError;
use cqrs_dynamodb::Projector;
use lambda_runtime::{Error, LambdaEvent};
use orders::Orders;

use crate::batch::Batch;

/// Builds the projector with every read model of the system.
///
/// # Errors
/// [`DeclarationError`]. `main` builds the projector once, so that such a mistake stops the function at its start.
pub fn projector(app: &App) -> Result<Projector, DeclarationError> {
    app.projector::<Orders>()
}

/// Catches up every stream that has a record in the batch. Safe to repeat.
///
/// The response names the first record whose stream was not caught up. Lambda delivers this record and all later ones
/// again.
///
/// # Errors
/// [`DeclarationError`], or if that record has no sequence number, without which the response cannot name it.
pub async fn handle(app: &App, event: LambdaEvent<Event>) -> Result<DynamoDbEventResponse, Error> {
    let (app, began) = (app.with_deadline(event.context.deadline), app.dynamo.environment.now());
    let batch = Batch::read(event.payload.records);
    let report = projector(&app)?.catch_up(&batch.requests).await;
    telemetry::emit(&app, &event.context, began, &batch, &report);

    let mut response = DynamoDbEventResponse::default();
    if let Some(record) = batch.first_of(report.failed.keys()) {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(record.ok_or("the failed record has no sequence number")?);
        response.batch_item_failures.push(failure);
    }
    Ok(response)
}
