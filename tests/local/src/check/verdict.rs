//! Which promises a history breaks.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::history::{Command, Event, History, Outcome, Read, Seen, Source};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "what a variant says names its fields; a command is called by its mark")]
pub enum Violation {
    /// A command was acknowledged, and is in no history.
    Lost { command: String },
    /// A command was acknowledged, and carried out more than once.
    Doubled { command: String, times: usize },
    /// A command was refused, and carried out all the same.
    RefusedAndDone { command: String },
    /// A command without an answer was carried out more than once.
    UnknownDoubled { command: String, times: usize },
    /// An order has an event that nobody asked for.
    Unasked { order: String, version: u64 },
    /// A command was acknowledged at another version or order than it stands at.
    Misplaced { command: String, told: u64, stands: u64 },
    /// A command that was repeated was answered in another way than before.
    AnsweredAnew { command: String },
    /// A command that came after the other was done stands before it.
    Swapped { first: String, then: String },
    /// The versions of an order are not 1 to n.
    Gap { order: String },
    /// A read did not show what it had to.
    Stale { read: Source, order: String, at_least: u64, seen: Option<Seen> },
    /// A read showed an order as it never was.
    Invented { read: Source, order: String, seen: Seen },
    /// A read model does not come to what the order's history says.
    Behind { read: Source, order: String, version: u64, seen: Option<Seen> },
}

/// Where a command stands.
type Place<'a> = (&'a str, u64);

/// All promises that this history breaks.
pub fn verdict(history: &History) -> Vec<Violation> {
    let mut commands: BTreeMap<&str, Vec<&Command>> = BTreeMap::new();
    history.commands.iter().for_each(|command| commands.entry(&command.mark).or_default().push(command));
    let mut places: BTreeMap<&str, Vec<Place<'_>>> = BTreeMap::new();
    for (order, events) in &history.orders {
        events.iter().for_each(|event| places.entry(&event.mark).or_default().push((order, event.version)));
    }

    let mut violations = Vec::new();
    for (mark, commands) in &commands {
        let places = places.get(mark).map(Vec::as_slice).unwrap_or_default();
        violations.extend(miscounted(mark, commands, places.len()));
        violations.extend(commands.iter().filter_map(|command| misplaced(command, places)));
    }
    let unasked = places.iter().filter(|(mark, _)| !commands.contains_key(*mark)).flat_map(|(_, places)| places);
    violations
        .extend(unasked.map(|(order, version)| Violation::Unasked { order: (*order).to_owned(), version: *version }));
    violations.extend(history.commands.iter().filter_map(answered_anew));
    violations.extend(swapped(&history.commands));
    for (order, events) in &history.orders {
        if !events.iter().map(|event| event.version).eq(1..=events.len() as u64) {
            violations.push(Violation::Gap { order: order.clone() });
        }
    }
    violations.extend(history.reads.iter().filter_map(|read| misread(read, history.orders.get(&read.order))));
    violations.extend(behind(history));
    violations
}

/// What was acknowledged is there exactly once, what was refused not at all, and the rest at most once.
fn miscounted(mark: &str, commands: &[&Command], times: usize) -> Option<Violation> {
    let command = mark.to_owned();
    let count = |outcome| commands.iter().filter(|command| command.outcome() == outcome).count();
    let (ok, unknown) = (count(Outcome::Ok), count(Outcome::Unknown));
    match (ok, unknown) {
        _ if times < ok => Some(Violation::Lost { command }),
        _ if times <= ok + unknown => None,
        (0, 0) => Some(Violation::RefusedAndDone { command }),
        (0, _) => Some(Violation::UnknownDoubled { command, times }),
        _ => Some(Violation::Doubled { command, times }),
    }
}

/// What was acknowledged stands where its client was told.
fn misplaced(command: &Command, places: &[Place<'_>]) -> Option<Violation> {
    let done = command.done()?;
    let (_, stands) = *places.first().filter(|_| !places.contains(&done))?;
    Some(Violation::Misplaced { command: command.mark.clone(), told: done.1, stands })
}

/// Each acknowledgement of a command says the same.
fn answered_anew(command: &Command) -> Option<Violation> {
    let mut done = command.told.iter().filter(|told| matches!(told, super::history::Told::Done { .. }));
    let first = done.next()?;
    done.any(|told| told != first).then(|| Violation::AnsweredAnew { command: command.mark.clone() })
}

/// Of two commands to one order, the one that was done before the other began stands first, whoever sent them.
fn swapped(commands: &[Command]) -> Vec<Violation> {
    let mut orders: BTreeMap<&str, Vec<(u64, &Command)>> = BTreeMap::new();
    for command in commands {
        command
            .done()
            .into_iter()
            .for_each(|(order, version)| orders.entry(order).or_default().push((version, command)));
    }
    let mut swapped = Vec::new();
    for done in orders.values() {
        for (version, first) in done {
            let wrong = done.iter().filter(|(later, then)| first.ended < then.began && later <= version);
            let name = |command: &Command| command.mark.clone();
            swapped.extend(wrong.map(|(_, then)| Violation::Swapped { first: name(first), then: name(then) }));
        }
    }
    swapped
}

/// A read shows at least what it had to, and nothing that never was.
fn misread(read: &Read, events: Option<&Vec<Event>>) -> Option<Violation> {
    let Read { source, order, at_least, seen } = read.clone();
    match seen {
        Some(seen) if seen.version >= at_least => {
            let was = events?.iter().any(|event| event.version == seen.version && event.status == seen.status);
            (!was).then_some(Violation::Invented { read: source, order, seen })
        }
        seen => Some(Violation::Stale { read: source, order, at_least, seen }),
    }
}

/// In the end, the read models show each order as its history says.
fn behind(history: &History) -> Vec<Violation> {
    let mut behind = Vec::new();
    for (order, views) in &history.views {
        let head = history.orders.get(order).and_then(|events| events.last());
        let head = head.map(|event| Seen { version: event.version, status: event.status.clone() });
        for (read, seen) in [(Source::Order, &views.summary), (Source::List, &views.row)] {
            if *seen != head {
                let version = head.as_ref().map_or(0, |head| head.version);
                behind.push(Violation::Behind { read, order: order.clone(), version, seen: seen.clone() });
            }
        }
    }
    behind
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |seen: &Option<Seen>| match seen {
            Some(seen) => format!("version {} ({})", seen.version, seen.status),
            None => "nothing".to_owned(),
        };
        match self {
            Self::Lost { command } => write!(f, "{command} was acknowledged and is lost"),
            Self::Doubled { command, times } => write!(f, "{command} was acknowledged once and done {times} times"),
            Self::RefusedAndDone { command } => write!(f, "{command} was refused and done"),
            Self::UnknownDoubled { command, times } => write!(f, "{command} had no answer and was done {times} times"),
            Self::Unasked { order, version } => write!(f, "nobody asked for version {version} of order {order}"),
            Self::Misplaced { command, told, stands } => {
                write!(f, "{command} was acknowledged as version {told} and stands elsewhere, at version {stands}")
            }
            Self::AnsweredAnew { command } => write!(f, "{command} was repeated and answered in another way"),
            Self::Swapped { first, then } => write!(f, "{then} came after {first} was done, and stands before it"),
            Self::Gap { order } => write!(f, "the versions of order {order} are not 1 to n"),
            Self::Stale { read, order, at_least, seen } => {
                write!(f, "{read} showed {} of order {order}, not version {at_least}", shown(seen))
            }
            Self::Invented { read, order, seen } => {
                write!(f, "{read} showed order {order} as it never was: version {} ({})", seen.version, seen.status)
            }
            Self::Behind { read, order, version, seen } => {
                write!(f, "{read} stays at {} of order {order}, which is at version {version}", shown(seen))
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Order => "the order",
            Self::Events => "the history",
            Self::List => "the list",
        })
    }
}
