//! Telemetry of one batch: a line of metrics, a log line for each failure, and an X-Ray subsegment.
//!
//! Metrics carry no ids. A log line names a stream only if an operator must look into it.

use std::collections::BTreeSet;

use app::{App, Measurements, problem::causes, stream_batch::StreamBatch, trace::Subsegment};
use cqrs_dynamodb::CatchUpReport;
use jiff::Timestamp;
use lambda_runtime::Context;

/// Emits the telemetry of a batch whose invocation began at `began`.
pub(crate) fn emit(app: &App, context: &Context, began: Timestamp, batch: &StreamBatch, report: &CatchUpReport) {
    let environment = &app.dynamo.environment;
    let ended = environment.now();
    let traces: BTreeSet<String> = batch.caught_up(report).filter_map(|commit| commit.trace.clone()).collect();
    let links: Vec<String> = traces.into_iter().collect();
    let measurements = Measurements::default()
        .count("CommitsProjected", report.commits())
        .count("Duplicates", report.duplicates)
        .count("GapsFilled", report.gaps_filled)
        .count("Parked", report.parked.len())
        .count("Skipped", report.skipped)
        .count("ProjectionFailures", report.failed.len())
        .count("Unhandled", report.unhandled)
        .count("NotACommit", batch.not_a_commit)
        .count("Tampered", batch.tampered)
        .milliseconds("ProjectionLag", batch.lags(report, ended))
        .note("records", batch.records)
        .note("links", links.clone());
    app.metrics.emit(ended, measurements);

    if batch.not_a_commit > 0 {
        tracing::error!(not_a_commit = batch.not_a_commit, "stream records lack the keys of a commit");
    }
    if batch.tampered > 0 {
        tracing::error!(tampered = batch.tampered, "stored commits were modified or removed");
    }
    for (stream, error) in &report.failed {
        tracing::error!(%stream, causes = causes(error.as_ref()), "{error}");
    }
    for (stream, error) in &report.parked {
        tracing::error!(%stream, parked = true, causes = causes(error.as_ref()), "{error}");
    }
    if let Some(header) = &context.xray_trace_id {
        let [a, b, c, d, e, f, g, h, ..] = environment.random_bytes();
        let id = [a, b, c, d, e, f, g, h];
        app.x_ray.add(header, &Subsegment { name: "project", id, time: (began, ended), links: &links });
    }
}
