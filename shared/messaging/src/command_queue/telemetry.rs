//! Metrics of a batch of messages with commands.

use std::collections::BTreeMap;

use app::{App, Measurements};

use super::receiver::Outcome;

/// Emits a line with the outcomes of a batch, and another one for each reason of a rejection.
pub(super) fn emit(app: &App, outcomes: &[(&str, Outcome)], conflicts: usize) {
    let number = |outcome: &Outcome| outcomes.iter().filter(|(_, other)| other == outcome).count();
    let measurements = Measurements::default()
        .count("CommandsAccepted", number(&Outcome::Accepted))
        .count("CommandsReplayed", number(&Outcome::Replayed))
        .count("CommandsMalformed", number(&Outcome::Malformed))
        .count("CommandsDelayed", number(&Outcome::Failed))
        .count("Conflicts", conflicts);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, outcome) in outcomes {
        if let Outcome::Rejected(reason) = outcome {
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
