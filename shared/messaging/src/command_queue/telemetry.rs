//! Metrics of a batch of messages with commands.

use std::collections::BTreeMap;

use app::{App, Measurements};

use super::receiver::MessageOutcome;

/// Emits a line with the outcomes of a batch, and another one for each reason of a rejection.
pub(super) fn emit(app: &App, outcomes: &[(&str, MessageOutcome)], conflicts: usize) {
    let number = |outcome: &MessageOutcome| outcomes.iter().filter(|(_, other)| other == outcome).count();
    let measurements = Measurements::default()
        .count("CommandsAccepted", number(&MessageOutcome::Accepted))
        .count("CommandsReplayed", number(&MessageOutcome::Replayed))
        .count("CommandsMalformed", number(&MessageOutcome::Malformed))
        .count("CommandsDelayed", number(&MessageOutcome::Failed))
        .count("Conflicts", conflicts);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, outcome) in outcomes {
        if let MessageOutcome::Rejected(reason) = outcome {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let rejected = reasons
        .into_iter()
        .map(|(reason, number)| Measurements::default().number_of("CommandsRejected", "Reason", reason, number));
    let now = app.dynamo.environment.now();
    for measurements in [measurements].into_iter().chain(rejected) {
        app.metrics.emit(now, measurements);
    }
}
