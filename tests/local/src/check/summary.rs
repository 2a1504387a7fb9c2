//! A run in numbers.

use std::fmt;

use jiff::SignedDuration;
use serde::Serialize;

use super::{
    RunHistory, Violation,
    history::{CommandOutcome, Reply},
};

/// How many violations are shown in words.
const SHOWN: usize = 20;

/// A run in numbers.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// What it is called: its customers are `check-<run>-<client>`.
    pub run: String,
    /// What the plan was drawn from.
    pub seed: u64,
    /// How many clients there were.
    pub clients: u64,
    /// How long they were at it.
    pub seconds: f64,
    /// What became of the commands.
    pub commands: CommandCounts,
    /// How many reads were answered.
    pub reads: usize,
    /// How many were not.
    pub reads_unanswered: usize,
    /// How many orders there are.
    pub orders: usize,
    /// How many events they have.
    pub events: usize,
    /// After how many seconds the read models had caught up; none if they had not, or were not looked at.
    pub caught_up_after: Option<f64>,
    /// How long an attempt of a command took.
    pub command_ms: Latency,
    /// How long a read took.
    pub read_ms: Latency,
    /// The promises that were broken.
    pub violations: Vec<Violation>,
}

/// CommandCounts, by what their clients know of them.
#[derive(Debug, Serialize)]
pub struct CommandCounts {
    /// Acknowledged.
    pub ok: usize,
    /// Refused.
    pub fail: usize,
    /// Neither.
    pub unknown: usize,
    /// How often one was sent again under its key.
    pub sent_again: usize,
    /// How many had no answer at first, and were acknowledged then.
    pub resolved: usize,
}

/// Milliseconds.
#[derive(Debug, Serialize)]
pub struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

impl CommandCounts {
    /// The commands of this history.
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
    /// The percentiles of these times.
    pub fn of(mut times: Vec<SignedDuration>) -> Self {
        times.sort_unstable();
        let at = |hundredths: usize| {
            let place = (times.len() * hundredths / 100).min(times.len().saturating_sub(1));
            times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
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
            "commands  {ok} ok, {fail} fail, {unknown} unknown; {sent_again} sent again, which resolved {resolved}"
        )?;
        writeln!(f, "          {}", self.command_ms)?;
        writeln!(f, "reads     {}, and {} without an answer", self.reads, self.reads_unanswered)?;
        writeln!(f, "          {}", self.read_ms)?;
        writeln!(f, "history   {} orders, {} events", self.orders, self.events)?;
        match self.caught_up_after {
            Some(seconds) => writeln!(f, "views     caught up {seconds:.1} s after the load")?,
            None => writeln!(f, "views     not caught up, or not looked at")?,
        }
        match self.violations.len() {
            0 => return f.write_str("No violations."),
            1 => f.write_str("1 violation:")?,
            number => write!(f, "{number} violations:")?,
        }
        for violation in self.violations.iter().take(SHOWN) {
            write!(f, "\n  {violation}")?;
        }
        match self.violations.len().checked_sub(SHOWN) {
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
    fn percentiles_are_those_of_the_sorted_times() {
        let times = (1..=200).rev().map(SignedDuration::from_millis).collect();
        assert_eq!(Latency::of(times).to_string(), "p50 101.0 ms, p99 199.0 ms, max 200.0 ms");
        assert_eq!(Latency::of(Vec::new()).to_string(), "p50 0.0 ms, p99 0.0 ms, max 0.0 ms");
    }
}
