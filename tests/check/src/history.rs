//! Commands, replies and reads of a run, and the final state of its streams.

use std::collections::BTreeMap;

use serde::Serialize;

/// The commands and reads of one run, and the events and views after it.
#[derive(Debug, Default)]
pub struct RunHistory {
    pub commands: Vec<SentCommand>,
    pub reads: Vec<Read>,
    /// The final events of each stream.
    pub streams: BTreeMap<String, Vec<RecordedEvent>>,
    /// The final views of each stream. Empty if the views are not checked.
    pub views: BTreeMap<String, FinalViews>,
}

/// A command with its idempotency key, sent once or several times.
#[derive(Clone, Debug)]
pub struct SentCommand {
    /// The text that identifies the command's event. Commands without a text of their own share their mark.
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
    /// 2xx, with the stream and its version after the command.
    Accepted { stream: String, version: u64 },
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

    /// Stream and version of the first acknowledgement.
    pub fn accepted(&self) -> Option<(&str, u64)> {
        self.replies.iter().find_map(|reply| match reply {
            Reply::Accepted { stream, version } => Some((stream.as_str(), *version)),
            Reply::Refused(_) | Reply::Unknown => None,
        })
    }
}

/// An event in the history of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    pub version: u64,
    /// The status of the stream after the event, as its view shows it.
    pub status: String,
    /// The mark of its command.
    pub mark: String,
}

/// A read that got a response.
#[derive(Clone, Debug)]
pub struct Read {
    pub source: ReadSource,
    pub stream: String,
    /// The lowest version that the response may show.
    pub at_least: u64,
    /// `None` if the response does not contain the stream.
    pub state: Option<StreamState>,
}

/// The route of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadSource {
    /// The view of one stream, for example `GET /orders/{order_id}`.
    View,
    /// The events of one stream, for example `GET /orders/{order_id}/events`.
    Events,
    /// The list of an owner, for example `GET /customers/{customer_id}/orders`.
    List,
}

/// A stream as a response shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamState {
    pub version: u64,
    pub status: String,
}

/// The final states of the view and of the row of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalViews {
    pub view: Option<StreamState>,
    /// The row in the list of its owner.
    pub row: Option<StreamState>,
}

impl From<RecordedEvent> for StreamState {
    fn from(event: RecordedEvent) -> Self {
        Self { version: event.version, status: event.status }
    }
}
