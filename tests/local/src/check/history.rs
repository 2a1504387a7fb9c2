//! What was asked of a system, what it answered, and what is there in the end.

use std::collections::BTreeMap;

use serde::Serialize;

/// All that is known of a run.
#[derive(Debug, Default)]
pub struct History {
    /// What was commanded.
    pub commands: Vec<Command>,
    /// What was read in between.
    pub reads: Vec<Read>,
    /// The events of each order, as they are in the end.
    pub orders: BTreeMap<String, Vec<Event>>,
    /// What the read models show of each order in the end; empty if they were not looked at.
    pub views: BTreeMap<String, Views>,
}

/// One command. However often it was sent, it had one idempotency key.
#[derive(Clone, Debug)]
pub struct Command {
    /// What its event is recognised by. The same command of another client may have the same.
    pub mark: String,
    /// When it was sent first, by a clock that all clients share.
    pub began: u64,
    /// When it was answered last.
    pub ended: u64,
    /// What was answered each time.
    pub told: Vec<Told>,
}

/// What a client was told of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is done: 2xx.
    Done {
        /// The order.
        order: String,
        /// Its version with this command.
        version: u64,
    },
    /// It is not done: 4xx with this status.
    Refused(u16),
    /// Nothing that tells: 5xx, a timeout, a lost connection.
    Nothing,
}

/// What a client knows of its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is done.
    Ok,
    /// It is not done.
    Fail,
    /// It may be done, now or later.
    Unknown,
}

impl Command {
    /// What its client knows of it. A refusal after an answer that was lost does not speak for the attempt before.
    pub fn outcome(&self) -> Outcome {
        if self.done().is_some() {
            Outcome::Ok
        } else if self.told.contains(&Told::Nothing) {
            Outcome::Unknown
        } else {
            Outcome::Fail
        }
    }

    /// The order and its version, as they were first acknowledged.
    pub fn done(&self) -> Option<(&str, u64)> {
        self.told.iter().find_map(|told| match told {
            Told::Done { order, version } => Some((order.as_str(), *version)),
            Told::Refused(_) | Told::Nothing => None,
        })
    }
}

/// An event in an order's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The version that it made.
    pub version: u64,
    /// The status that it led to.
    pub status: String,
    /// Which command it comes from.
    pub mark: String,
}

/// A read that was answered.
#[derive(Clone, Debug)]
pub struct Read {
    /// Where.
    pub source: Source,
    /// Of which order.
    pub order: String,
    /// The version that it had to show, or a later one.
    pub at_least: u64,
    /// What it showed; `None` if the order was not there.
    pub seen: Option<Seen>,
}

/// Where something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// `GET /orders/{order_id}`
    Order,
    /// `GET /orders/{order_id}/events`
    Events,
    /// `GET /customers/{customer_id}/orders`
    List,
}

/// An order, as it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Its version.
    pub version: u64,
    /// Its status.
    pub status: String,
}

/// What the read models show of an order in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// The order by itself.
    pub summary: Option<Seen>,
    /// Its row in the customer's list.
    pub row: Option<Seen>,
}
