//! Which promises a history breaks.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::history::{CommandOutcome, OrderState, Read, ReadSource, RecordedEvent, RunHistory, SentCommand};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "what a variant says names its fields; a command is called by its mark")]
pub enum Violation {
    /// A command was acknowledged, and is in no history.
    Lost { command: String },
    /// A command was acknowledged, and carried out more than once.
    Duplicated { command: String, times: usize },
    /// A command was refused, and carried out all the same.
    RefusedButExecuted { command: String },
    /// A command without an answer was carried out more than once.
    UnknownDuplicated { command: String, times: usize },
    /// An order has an event that nobody asked for.
    Unrequested { order: String, version: u64 },
    /// A command was acknowledged at another version or order than it stands at.
    WrongPosition { command: String, acknowledged: u64, actual: u64 },
    /// A command that was repeated was answered in another way than before.
    InconsistentReply { command: String },
    /// A command that came after the other was done stands before it.
    Reordered { first: String, then: String },
    /// The versions of an order are not 1 to n.
    Gap { order: String },
    /// A read did not show what it had to.
    StaleRead { read: ReadSource, order: String, at_least: u64, state: Option<OrderState> },
    /// A read showed an order as it never was.
    ImpossibleRead { read: ReadSource, order: String, state: OrderState },
    /// A read model does not come to what the order's history says.
    Behind { read: ReadSource, order: String, version: u64, state: Option<OrderState> },
}

/// Where a command stands.
type EventPosition<'a> = (&'a str, u64);

/// All promises that this history breaks.
pub fn find_violations(history: &RunHistory) -> Vec<Violation> {
    let mut commands: BTreeMap<&str, Vec<&SentCommand>> = BTreeMap::new();
    history.commands.iter().for_each(|command| commands.entry(&command.mark).or_default().push(command));
    let mut positions: BTreeMap<&str, Vec<EventPosition<'_>>> = BTreeMap::new();
    for (order, events) in &history.orders {
        events.iter().for_each(|event| positions.entry(&event.mark).or_default().push((order, event.version)));
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
        unrequested.map(|(order, version)| Violation::Unrequested { order: (*order).to_owned(), version: *version }),
    );
    violations.extend(history.commands.iter().filter_map(inconsistent_reply));
    violations.extend(reordered(&history.commands));
    for (order, events) in &history.orders {
        if !events.iter().map(|event| event.version).eq(1..=events.len() as u64) {
            violations.push(Violation::Gap { order: order.clone() });
        }
    }
    violations.extend(history.reads.iter().filter_map(|read| wrong_read(read, history.orders.get(&read.order))));
    violations.extend(behind(history));
    violations
}

/// What was acknowledged is there exactly once, what was refused not at all, and the rest at most once.
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

/// What was acknowledged stands where its client was acknowledged.
fn wrong_position(command: &SentCommand, positions: &[EventPosition<'_>]) -> Option<Violation> {
    let accepted = command.accepted()?;
    let (_, actual) = *positions.first().filter(|_| !positions.contains(&accepted))?;
    Some(Violation::WrongPosition { command: command.mark.clone(), acknowledged: accepted.1, actual })
}

/// Each acknowledgement of a command says the same.
fn inconsistent_reply(command: &SentCommand) -> Option<Violation> {
    let mut done = command.replies.iter().filter(|reply| matches!(reply, super::history::Reply::Accepted { .. }));
    let first = done.next()?;
    done.any(|reply| reply != first).then(|| Violation::InconsistentReply { command: command.mark.clone() })
}

/// Of two commands to one order, the one that was done before the other began stands first, whoever sent them.
fn reordered(commands: &[SentCommand]) -> Vec<Violation> {
    let mut orders: BTreeMap<&str, Vec<(u64, &SentCommand)>> = BTreeMap::new();
    for command in commands {
        command
            .accepted()
            .into_iter()
            .for_each(|(order, version)| orders.entry(order).or_default().push((version, command)));
    }
    let mut reordered = Vec::new();
    for done in orders.values() {
        for (version, first) in done {
            let wrong = done.iter().filter(|(later, then)| first.ended < then.began && later <= version);
            let name = |command: &SentCommand| command.mark.clone();
            reordered.extend(wrong.map(|(_, then)| Violation::Reordered { first: name(first), then: name(then) }));
        }
    }
    reordered
}

/// A read shows at least what it had to, and nothing that never was.
fn wrong_read(read: &Read, events: Option<&Vec<RecordedEvent>>) -> Option<Violation> {
    let Read { source, order, at_least, state } = read.clone();
    match state {
        Some(state) if state.version >= at_least => {
            let was = events?.iter().any(|event| event.version == state.version && event.status == state.status);
            (!was).then_some(Violation::ImpossibleRead { read: source, order, state })
        }
        state => Some(Violation::StaleRead { read: source, order, at_least, state }),
    }
}

/// In the end, the read models show each order as its history says.
fn behind(history: &RunHistory) -> Vec<Violation> {
    let mut behind = Vec::new();
    for (order, views) in &history.views {
        let head = history.orders.get(order).and_then(|events| events.last());
        let head = head.map(|event| OrderState { version: event.version, status: event.status.clone() });
        for (read, state) in [(ReadSource::Order, &views.summary), (ReadSource::List, &views.row)] {
            if *state != head {
                let version = head.as_ref().map_or(0, |head| head.version);
                behind.push(Violation::Behind { read, order: order.clone(), version, state: state.clone() });
            }
        }
    }
    behind
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let describe = |state: &Option<OrderState>| match state {
            Some(state) => format!("version {} ({})", state.version, state.status),
            None => "nothing".to_owned(),
        };
        match self {
            Self::Lost { command } => write!(f, "{command} was acknowledged and is lost"),
            Self::Duplicated { command, times } => write!(f, "{command} was acknowledged once and done {times} times"),
            Self::RefusedButExecuted { command } => write!(f, "{command} was refused and done"),
            Self::UnknownDuplicated { command, times } => {
                write!(f, "{command} had no answer and was done {times} times")
            }
            Self::Unrequested { order, version } => write!(f, "nobody asked for version {version} of order {order}"),
            Self::WrongPosition { command, acknowledged, actual } => {
                write!(
                    f,
                    "{command} was acknowledged as version {acknowledged} and stands elsewhere, at version {actual}"
                )
            }
            Self::InconsistentReply { command } => write!(f, "{command} was repeated and answered in another way"),
            Self::Reordered { first, then } => write!(f, "{then} came after {first} was done, and stands before it"),
            Self::Gap { order } => write!(f, "the versions of order {order} are not 1 to n"),
            Self::StaleRead { read, order, at_least, state } => {
                write!(f, "{read} showed {} of order {order}, not version {at_least}", describe(state))
            }
            Self::ImpossibleRead { read, order, state } => {
                write!(f, "{read} showed order {order} as it never was: version {} ({})", state.version, state.status)
            }
            Self::Behind { read, order, version, state } => {
                write!(f, "{read} stays at {} of order {order}, which is at version {version}", describe(state))
            }
        }
    }
}

impl fmt::Display for ReadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Order => "the order",
            Self::Events => "the history",
            Self::List => "the list",
        })
    }
}
