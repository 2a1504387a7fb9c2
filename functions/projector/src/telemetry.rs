//! What operators see of a batch: a line of metrics, a line for each failure, and a part of the trace.
//!
//! No ids: a stream is named only where an operator has to look into it.

use std::collections::BTreeSet;

use app::{App, Measurements, problem::causes, trace::Subsegment};
use cqrs_dynamodb::CatchUpReport;
use jiff::Timestamp;
use lambda_runtime::Context;

use crate::batch::Batch;

/// Tells what became of the batch that came at `began`.
pub(crate) fn tell(app: &App, context: &Context, began: Timestamp, batch: &Batch, report: &CatchUpReport) {
    let environment = &app.dynamo.environment;
    let ended = environment.now();
    let done = || {
        batch
            .commits()
            .filter(|commit| ![&report.failed, &report.parked].iter().any(|it| it.contains_key(&commit.stream)))
    };
    let links: Vec<String> =
        done().filter_map(|commit| commit.trace.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let lags = done().map(|commit| ended.duration_since(commit.recorded_at).as_millis());
    let measured = Measurements::default()
        .count("CommitsProjected", report.commits)
        .count("Duplicates", report.duplicates)
        .count("GapsFilled", report.gaps_filled)
        .count("Parked", report.parked.len())
        .count("Skipped", report.skipped)
        .count("ProjectionFailures", report.failed.len())
        .count("Unhandled", report.unhandled)
        .count("NotACommit", batch.not_a_commit)
        .count("Tampered", batch.tampered)
        .milliseconds("ProjectionLag", lags.filter_map(|lag| i64::try_from(lag).ok()).collect())
        .note("records", batch.records)
        .note("links", links.clone());
    app.metrics.emit(ended, measured);

    if batch.tampered > 0 {
        tracing::error!(tampered = batch.tampered, "commits were changed or removed");
    }
    for (stream, failure) in &report.failed {
        tracing::error!(%stream, causes = causes(failure.as_ref()), "{failure}");
    }
    for (stream, failure) in &report.parked {
        tracing::error!(%stream, parked = true, causes = causes(failure.as_ref()), "{failure}");
    }
    if let Some(header) = &context.xray_trace_id {
        let [a, b, c, d, e, f, g, h, ..] = environment.random_bytes();
        let id = [a, b, c, d, e, f, g, h];
        app.x_ray.add(header, &Subsegment { name: "project", id, time: (began, ended), links: &links });
    }
}
