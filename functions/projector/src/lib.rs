//! The projector: a batch of stream records in, caught-up read models out, and the first record that failed.
//!
//! 1. Which projections there are, here.
//! 2. [`batch`]: what a batch of stream records says.
//! 3. [`telemetry`]: what operators see of it.

mod batch;
mod telemetry;

use app::App;
use aws_lambda_events::{
    dynamodb::Event,
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};
use cqrs_dynamodb::{CountersTable, Projector, Views};
use lambda_runtime::{Error, LambdaEvent};
use orders::{Dashboard, OrderSummaries};

use crate::batch::Batch;

/// All projections there are.
pub fn projector(app: &App) -> Projector {
    let order_summaries = Views::<OrderSummaries>::new(app.dynamo.clone(), app.tables.order_summaries.clone());
    let dashboard = CountersTable::new(app.dynamo.clone(), app.tables.dashboard.clone());
    Projector::new(app.events()).with_rollup::<OrderSummaries, Dashboard>(order_summaries, dashboard)
}

/// Brings the read models to where the batch says that the streams are. Safe with any batch, any number of times.
///
/// Answers with the first record whose stream could not be caught up: Lambda delivers it and all after it again.
///
/// # Errors
/// If a record that failed has no sequence number: an answer without one would not be understood.
pub async fn handle(app: &App, event: LambdaEvent<Event>) -> Result<DynamoDbEventResponse, Error> {
    let (app, began) = (app.with_deadline(event.context.deadline), app.dynamo.environment.now());
    let batch = Batch::read(event.payload.records);
    let report = projector(&app).catch_up(&batch.requests).await;
    telemetry::tell(&app, &event.context, began, &batch, &report);

    let mut response = DynamoDbEventResponse::default();
    if let Some(record) = batch.first_of(report.failed.keys()) {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(record.ok_or("a record that failed has no sequence number")?);
        response.batch_item_failures.push(failure);
    }
    Ok(response)
}
