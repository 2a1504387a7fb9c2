//! Commands, replies and reads of a run, and the final state of its orders.

use std::collections::BTreeMap;

use serde::Serialize;

/// The commands and reads of one run, and the events and views after it.
#[derive(Debug, Default)]
pub struct RunHistory {
    pub commands: Vec<SentCommand>,
    pub reads: Vec<Read>,
    /// The final events of each order.
    pub orders: BTreeMap<String, Vec<RecordedEvent>>,
    /// The final views of each order. Empty if the views are not checked.
    pub views: BTreeMap<String, FinalViews>,
}

/// A command with its idempotency key, sent once or several times.
#[derive(Clone, Debug)]
pub struct SentCommand {
    /// The text that identifies the command's event. Deliveries of one order share their mark.
    pub mark: String,
    /// Tick of the shared clock before the first request.
    pub began: u64,
    /// Tick of the shared clock after the last reply.
    pub ended: u64,
    /// One reply per request.
    pub replies: Vec<Reply>,
}

/// The reply to one request of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 2xx, with the order and its version after the command.
    Accepted { order: String, version: u64 },
    /// 4xx, with the status.
    Refused(u16),
    /// 5xx, a timeout, a lost connection, or no reply yet. The command may have been executed.
    Unknown,
}

/// The outcome of a command as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommandOutcome {
    Ok,
    Fail,
    /// The command may have been executed, or may be executed later.
    Unknown,
}

impl SentCommand {
    /// The outcome of all requests together. A refusal after an unknown reply says nothing about the earlier request.
    pub fn outcome(&self) -> CommandOutcome {
        if self.accepted().is_some() {
            CommandOutcome::Ok
        } else if self.replies.contains(&Reply::Unknown) {
            CommandOutcome::Unknown
        } else {
            CommandOutcome::Fail
        }
    }

    /// Order and version of the first acknowledgement.
    pub fn accepted(&self) -> Option<(&str, u64)> {
        self.replies.iter().find_map(|reply| match reply {
            Reply::Accepted { order, version } => Some((order.as_str(), *version)),
            Reply::Refused(_) | Reply::Unknown => None,
        })
    }
}

/// An event in the history of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    pub version: u64,
    /// The status of the order after the event.
    pub status: String,
    /// The mark of its command.
    pub mark: String,
}

/// A read that got a response.
#[derive(Clone, Debug)]
pub struct Read {
    pub source: ReadSource,
    pub order: String,
    /// The lowest version that the response may show.
    pub at_least: u64,
    /// `None` if the response does not contain the order.
    pub state: Option<OrderState>,
}

/// The route of a read.
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

/// An order as a response shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderState {
    pub version: u64,
    pub status: String,
}

/// The final views of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalViews {
    /// In `GET /orders/{order_id}`.
    pub summary: Option<OrderState>,
    /// In `GET /customers/{customer_id}/orders`.
    pub row: Option<OrderState>,
}
