//! The promises that a history breaks.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::history::{CommandOutcome, Read, ReadSource, RecordedEvent, Reply, RunHistory, SentCommand, StreamState};

/// A broken promise. Commands are named by their mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Violation {
    /// An acknowledged command is in no history.
    Lost { command: String },
    /// An acknowledged command was executed more than once.
    Duplicated { command: String, times: usize },
    /// A refused command was executed.
    RefusedButExecuted { command: String },
    /// A command with an unknown outcome was executed more than once.
    UnknownDuplicated { command: String, times: usize },
    /// A stream has an event without a command.
    Unrequested { stream: String, version: u64 },
    /// A command was acknowledged with another stream or version than that of its event.
    WrongPosition { command: String, acknowledged: u64, actual: u64 },
    /// Two acknowledgements of a command differ.
    InconsistentReply { command: String },
    /// A command that was sent after the end of another one precedes it in the history.
    Reordered { first: String, then: String },
    /// The versions of a stream are not 1 to n.
    Gap { stream: String },
    /// A read showed an older version than required, or no stream.
    StaleRead { read: ReadSource, stream: String, at_least: u64, state: Option<StreamState> },
    /// A read showed a state that the stream never had.
    ImpossibleRead { read: ReadSource, stream: String, state: StreamState },
    /// A view did not reach the end of the stream's history.
    Behind { read: ReadSource, stream: String, version: u64, state: Option<StreamState> },
}

/// Stream and version of an event.
type EventPosition<'a> = (&'a str, u64);

/// Finds all broken promises in a history.
pub fn find_violations(history: &RunHistory) -> Vec<Violation> {
    let mut commands: BTreeMap<&str, Vec<&SentCommand>> = BTreeMap::new();
    history.commands.iter().for_each(|command| commands.entry(&command.mark).or_default().push(command));
    let mut positions: BTreeMap<&str, Vec<EventPosition<'_>>> = BTreeMap::new();
    for (stream, events) in &history.streams {
        events.iter().for_each(|event| positions.entry(&event.mark).or_default().push((stream, event.version)));
    }

    let mut violations = Vec::new();
    for (mark, commands) in &commands {
        let positions = positions.get(mark).map(Vec::as_slice).unwrap_or_default();
        violations.extend(wrong_count(mark, commands, positions.len()));
        violations.extend(commands.iter().filter_map(|command| wrong_position(command, positions)));
    }
    let unrequested =
        positions.iter().filter(|(mark, _)| !commands.contains_key(*mark)).flat_map(|(_, positions)| positions);
    violations.extend(
        unrequested.map(|(stream, version)| Violation::Unrequested { stream: (*stream).to_owned(), version: *version }),
    );
    violations.extend(history.commands.iter().filter_map(inconsistent_reply));
    violations.extend(reordered(&history.commands));
    for (stream, events) in &history.streams {
        if !events.iter().map(|event| event.version).eq(1..=events.len() as u64) {
            violations.push(Violation::Gap { stream: stream.clone() });
        }
    }
    violations.extend(history.reads.iter().filter_map(|read| wrong_read(read, history.streams.get(&read.stream))));
    violations.extend(behind(history));
    violations
}

/// An acknowledged command has exactly one event, a refused one has none, and an unknown one has at most one.
fn wrong_count(mark: &str, commands: &[&SentCommand], times: usize) -> Option<Violation> {
    let command = mark.to_owned();
    let count = |outcome| commands.iter().filter(|command| command.outcome() == outcome).count();
    let (ok, unknown) = (count(CommandOutcome::Ok), count(CommandOutcome::Unknown));
    match (ok, unknown) {
        _ if times < ok => Some(Violation::Lost { command }),
        _ if times <= ok + unknown => None,
        (0, 0) => Some(Violation::RefusedButExecuted { command }),
        (0, _) => Some(Violation::UnknownDuplicated { command, times }),
        _ => Some(Violation::Duplicated { command, times }),
    }
}

/// An acknowledged command has its event at the acknowledged stream and version.
fn wrong_position(command: &SentCommand, positions: &[EventPosition<'_>]) -> Option<Violation> {
    let accepted = command.accepted()?;
    let (_, actual) = *positions.first().filter(|_| !positions.contains(&accepted))?;
    Some(Violation::WrongPosition { command: command.mark.clone(), acknowledged: accepted.1, actual })
}

/// All acknowledgements of a command are equal.
fn inconsistent_reply(command: &SentCommand) -> Option<Violation> {
    let mut accepted = command.replies.iter().filter(|reply| matches!(reply, Reply::Accepted { .. }));
    let first = accepted.next()?;
    accepted.any(|reply| reply != first).then(|| Violation::InconsistentReply { command: command.mark.clone() })
}

/// Of two commands to a stream, the one that ended before the other one began comes first in the history.
fn reordered(commands: &[SentCommand]) -> Vec<Violation> {
    let mut streams: BTreeMap<&str, Vec<(u64, &SentCommand)>> = BTreeMap::new();
    for command in commands {
        command
            .accepted()
            .into_iter()
            .for_each(|(stream, version)| streams.entry(stream).or_default().push((version, command)));
    }
    let mut reordered = Vec::new();
    for commands in streams.values() {
        for (version, first) in commands {
            let wrong = commands.iter().filter(|(later, then)| first.ended < then.began && later <= version);
            let name = |command: &SentCommand| command.mark.clone();
            reordered.extend(wrong.map(|(_, then)| Violation::Reordered { first: name(first), then: name(then) }));
        }
    }
    reordered
}

/// A read shows at least the required version, and only a state that the stream had.
fn wrong_read(read: &Read, events: Option<&Vec<RecordedEvent>>) -> Option<Violation> {
    let Read { source, stream, at_least, state } = read.clone();
    match state {
        Some(state) if state.version >= at_least => {
            let existed = events?.iter().any(|event| event.version == state.version && event.status == state.status);
            (!existed).then_some(Violation::ImpossibleRead { read: source, stream, state })
        }
        state => Some(Violation::StaleRead { read: source, stream, at_least, state }),
    }
}

/// The final views show the last event of each stream.
fn behind(history: &RunHistory) -> Vec<Violation> {
    let mut behind = Vec::new();
    for (stream, views) in &history.views {
        let head = history.streams.get(stream).and_then(|events| events.last());
        let head = head.map(|event| StreamState { version: event.version, status: event.status.clone() });
        for (read, state) in [(ReadSource::View, &views.view), (ReadSource::List, &views.row)] {
            if *state != head {
                let version = head.as_ref().map_or(0, |head| head.version);
                behind.push(Violation::Behind { read, stream: stream.clone(), version, state: state.clone() });
            }
        }
    }
    behind
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let describe = |state: &Option<StreamState>| match state {
            Some(state) => format!("version {} ({})", state.version, state.status),
            None => "nothing".to_owned(),
        };
        match self {
            Self::Lost { command } => write!(f, "{command} was acknowledged and is in no history"),
            Self::Duplicated { command, times } => {
                write!(f, "{command} was acknowledged once and executed {times} times")
            }
            Self::RefusedButExecuted { command } => write!(f, "{command} was refused and executed"),
            Self::UnknownDuplicated { command, times } => {
                write!(f, "{command} had an unknown outcome and was executed {times} times")
            }
            Self::Unrequested { stream, version } => write!(f, "version {version} of stream {stream} has no command"),
            Self::WrongPosition { command, acknowledged, actual } => {
                write!(f, "{command} was acknowledged as version {acknowledged}, but its event is version {actual}")
            }
            Self::InconsistentReply { command } => write!(f, "{command} got two different acknowledgements"),
            Self::Reordered { first, then } => {
                write!(f, "{then} was sent after {first} had ended, but precedes it in the history")
            }
            Self::Gap { stream } => write!(f, "the versions of stream {stream} are not 1 to n"),
            Self::StaleRead { read, stream, at_least, state } => {
                write!(f, "{read} showed {} of stream {stream} instead of version {at_least} or later", describe(state))
            }
            Self::ImpossibleRead { read, stream, state } => {
                write!(
                    f,
                    "{read} showed a state that stream {stream} never had: version {} ({})",
                    state.version, state.status
                )
            }
            Self::Behind { read, stream, version, state } => {
                write!(
                    f,
                    "{read} shows {} of stream {stream}, whose history ends with version {version}",
                    describe(state)
                )
            }
        }
    }
}

impl fmt::Display for ReadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::View => "the view",
            Self::Events => "the history",
            Self::List => "the list",
        })
    }
}
