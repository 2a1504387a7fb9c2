//! Telemetry of one batch: a line of metrics, and a log line for each failure.
//!
//! Metrics carry no ids. A log line names a stream only if an operator must look into it. The projector counts records
//! that are no commits, so the publisher does not.

use app::{App, Measurements, problem::causes, stream_batch::StreamBatch};
use cqrs_dynamodb::CatchUpReport;

/// Emits the telemetry of a batch.
pub(crate) fn emit(app: &App, batch: &StreamBatch, report: &CatchUpReport) {
    let now = app.dynamo.environment.now();
    let measurements = Measurements::default()
        .count("EventsPublished", report.events_published)
        .count("PublishingFailures", report.failed.len())
        .count("Parked", report.parked.len())
        .count("Skipped", report.skipped)
        .milliseconds("PublishingLag", batch.lags(report, now))
        .note("records", batch.records);
    app.metrics.emit(now, measurements);
    for (stream, error) in &report.failed {
        tracing::error!(%stream, causes = causes(error.as_ref()), "{error}");
    }
    for (stream, error) in &report.parked {
        tracing::error!(%stream, parked = true, causes = causes(error.as_ref()), "{error}");
    }
}
