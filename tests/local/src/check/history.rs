//! What was asked of a system, what it answered, and what is there in the end.

use std::collections::BTreeMap;

use serde::Serialize;

/// All that is known of a run.
#[derive(Debug, Default)]
pub struct RunHistory {
    /// What was commanded.
    pub commands: Vec<SentCommand>,
    /// What was read in between.
    pub reads: Vec<Read>,
    /// The events of each order, as they are in the end.
    pub orders: BTreeMap<String, Vec<RecordedEvent>>,
    /// What the read models show of each order in the end; empty if they were not looked at.
    pub views: BTreeMap<String, FinalViews>,
}

/// One command. However often it was sent, it had one idempotency key.
#[derive(Clone, Debug)]
pub struct SentCommand {
    /// What its event is recognised by. The same command of another client may have the same.
    pub mark: String,
    /// When it was sent first, by a clock that all clients share.
    pub began: u64,
    /// When it was answered last.
    pub ended: u64,
    /// What was answered each time.
    pub replies: Vec<Reply>,
}

/// What a client was replies of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done: 2xx.
    Accepted {
        /// The order.
        order: String,
        /// Its version with this command.
        version: u64,
    },
    /// It is not done: 4xx with this status.
    Refused(u16),
    /// Nothing that tells: 5xx, a timeout, a lost connection.
    Unknown,
}

/// What a client knows of its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommandOutcome {
    /// It is done.
    Ok,
    /// It is not done.
    Fail,
    /// It may be done, now or later.
    Unknown,
}

impl SentCommand {
    /// What its client knows of it. A refusal after an answer that was lost does not speak for the attempt before.
    pub fn outcome(&self) -> CommandOutcome {
        if self.accepted().is_some() {
            CommandOutcome::Ok
        } else if self.replies.contains(&Reply::Unknown) {
            CommandOutcome::Unknown
        } else {
            CommandOutcome::Fail
        }
    }

    /// The order and its version, as they were first acknowledged.
    pub fn accepted(&self) -> Option<(&str, u64)> {
        self.replies.iter().find_map(|reply| match reply {
            Reply::Accepted { order, version } => Some((order.as_str(), *version)),
            Reply::Refused(_) | Reply::Unknown => None,
        })
    }
}

/// An event in an order's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
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
    pub source: ReadSource,
    /// Of which order.
    pub order: String,
    /// The version that it had to show, or a later one.
    pub at_least: u64,
    /// What it showed; `None` if the order was not there.
    pub state: Option<OrderState>,
}

/// Where something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadSource {
    /// `GET /orders/{order_id}`
    Order,
    /// `GET /orders/{order_id}/events`
    Events,
    /// `GET /customers/{customer_id}/orders`
    List,
}

/// An order, as it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderState {
    /// Its version.
    pub version: u64,
    /// Its status.
    pub status: String,
}

/// What the read models show of an order in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalViews {
    /// The order by itself.
    pub summary: Option<OrderState>,
    /// Its row in the customer's list.
    pub row: Option<OrderState>,
}
