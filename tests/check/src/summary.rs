//! The numbers and violations of a run, as text or JSON.

use std::fmt;

use jiff::SignedDuration;
use serde::Serialize;

use crate::{
    RunHistory, Violation,
    history::{CommandOutcome, Reply},
};

/// The most violations in the text of a summary. Its JSON contains all of them.
const MAX_SHOWN: usize = 20;

#[derive(Debug, Serialize)]
pub struct Summary {
    /// The owners of its streams are `check-<run>-<client>`.
    pub run: String,
    pub seed: u64,
    pub clients: u64,
    /// Duration of the load.
    pub seconds: f64,
    pub commands: CommandCounts,
    /// Number of reads with a response.
    pub reads: usize,
    pub reads_unanswered: usize,
    pub streams: usize,
    pub events: usize,
    /// Seconds from the end of the load until the views had caught up. `None` if they did not, or were not checked.
    pub caught_up_after: Option<f64>,
    /// Latency of one request of a command.
    pub command_ms: Latency,
    pub read_ms: Latency,
    pub violations: Vec<Violation>,
}

/// Numbers of commands by outcome.
#[derive(Debug, Serialize)]
pub struct CommandCounts {
    pub ok: usize,
    pub fail: usize,
    pub unknown: usize,
    /// Number of repeated requests.
    pub sent_again: usize,
    /// Number of commands that had an unknown reply at first, and were acknowledged later.
    pub resolved: usize,
}

/// In milliseconds.
#[derive(Debug, Serialize)]
pub struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

impl CommandCounts {
    pub fn of(history: &RunHistory) -> Self {
        let commands = &history.commands;
        let count = |outcome| commands.iter().filter(|command| command.outcome() == outcome).count();
        let resolved = |replies: &[Reply]| replies.first() == Some(&Reply::Unknown);
        Self {
            ok: count(CommandOutcome::Ok),
            fail: count(CommandOutcome::Fail),
            unknown: count(CommandOutcome::Unknown),
            sent_again: commands.iter().map(|command| command.replies.len().saturating_sub(1)).sum(),
            resolved: commands
                .iter()
                .filter(|command| resolved(&command.replies) && command.accepted().is_some())
                .count(),
        }
    }
}

impl Latency {
    pub fn of(mut times: Vec<SignedDuration>) -> Self {
        times.sort_unstable();
        let at = |hundredths: usize| {
            let index = (times.len() * hundredths / 100).min(times.len().saturating_sub(1));
            times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        Self { p50: at(50), p99: at(99), max: at(100) }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CommandCounts { ok, fail, unknown, sent_again, resolved } = &self.commands;
        writeln!(f, "run {} with seed {}: {} clients, {:.1} s", self.run, self.seed, self.clients, self.seconds)?;
        writeln!(
            f,
            "commands  {ok} ok, {fail} fail, {unknown} unknown; {sent_again} requests repeated, {resolved} resolved"
        )?;
        writeln!(f, "          {}", self.command_ms)?;
        writeln!(f, "reads     {}, and {} without a response", self.reads, self.reads_unanswered)?;
        writeln!(f, "          {}", self.read_ms)?;
        writeln!(f, "history   {} streams, {} events", self.streams, self.events)?;
        match self.caught_up_after {
            Some(seconds) => writeln!(f, "views     caught up {seconds:.1} s after the load")?,
            None => writeln!(f, "views     not caught up, or not checked")?,
        }
        match self.violations.len() {
            0 => return f.write_str("No violations."),
            1 => f.write_str("1 violation:")?,
            number => write!(f, "{number} violations:")?,
        }
        for violation in self.violations.iter().take(MAX_SHOWN) {
            write!(f, "\n  {violation}")?;
        }
        match self.violations.len().checked_sub(MAX_SHOWN) {
            Some(more) if more > 0 => write!(f, "\n  and {more} more"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", self.p50, self.p99, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_the_sorted_times() {
        let times = (1..=200).rev().map(SignedDuration::from_millis).collect();
        assert_eq!(Latency::of(times).to_string(), "p50 101.0 ms, p99 199.0 ms, max 200.0 ms");
        assert_eq!(Latency::of(Vec::new()).to_string(), "p50 0.0 ms, p99 0.0 ms, max 0.0 ms");
    }
}
