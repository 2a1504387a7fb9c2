//! Telemetry of one invocation: a line of metrics, and a log line for each failure.
//!
//! Metrics carry no ids. A log line names a stream only if an operator must look into it, and never shows a message.

use app::{App, Measurements, problem::causes};
use cqrs_dynamodb::ProcessReport;

use crate::{instances::Run, signals::Malformed};

/// The results of an invocation.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    /// The number of instances with an overdue timer that a sweep found.
    pub(crate) overdue: usize,
    /// The ids of the malformed messages.
    pub(crate) malformed: Vec<(String, Malformed)>,
    pub(crate) runs: Vec<Run>,
}

impl Telemetry {
    pub(crate) fn emit(&self, app: &App) {
        let reports = || self.runs.iter().filter_map(|run| run.result.as_ref().ok());
        let sum = |count: fn(&ProcessReport) -> usize| reports().map(count).sum::<usize>();
        let late = reports().flat_map(|report| &report.fired).filter_map(|late| i64::try_from(late.as_millis()).ok());
        let measurements = Measurements::default()
            .count("TimersFired", sum(|report| report.fired.len()))
            .count("TimersOverdue", self.overdue)
            .count("CommandsSent", sum(|report| report.accepted + report.rejected + report.sent_before.len()))
            .count("CommandsRejected", sum(|report| report.rejected))
            .count("MalformedSignals", self.malformed.len())
            .count("ProcessFailures", self.runs.iter().filter(|run| run.result.is_err()).count())
            .count("ScheduleFailures", self.runs.iter().filter(|run| run.schedule_error.is_some()).count())
            .milliseconds("TimerLateness", late.collect())
            .note("instances", self.runs.len());
        app.metrics.emit(app.dynamo.environment.now(), measurements);

        for (message_id, error) in &self.malformed {
            tracing::error!(message_id, "{error}");
        }
        for Run { source, result, schedule_error } in &self.runs {
            match result {
                Ok(report) => {
                    for target in &report.sent_before {
                        tracing::warn!(%source, %target, "an earlier attempt sent another command under the same id");
                    }
                }
                Err(error) => tracing::error!(%source, causes = causes(error), "{error}"),
            }
            if let Some(error) = schedule_error {
                tracing::warn!(%source, causes = causes(error), "{error}");
            }
        }
    }
}
