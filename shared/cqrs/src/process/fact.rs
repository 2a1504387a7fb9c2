//! The stored events of a process. This is a storage format: every schema version has a file in `golden/process`.

use std::{
    fmt::{self, Debug},
    marker::PhantomData,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Process;
use crate::{CommandId, CommitHash, Event, StreamId, Version};

/// An event in the stream of an instance.
///
/// The facts that a trigger causes follow the fact of the trigger: [`SourceFollowed`](Self::SourceFollowed) or
/// [`TimerFired`](Self::TimerFired).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum ProcessFact {
    /// The process has reacted to all events of the source stream up to this commit.
    #[serde(rename = "source.followed")]
    SourceFollowed(SourceFollowed),
    /// A timer was set, or moved to another time.
    #[serde(rename = "timer.set")]
    TimerSet(TimerFact),
    /// A timer was cancelled.
    #[serde(rename = "timer.cancelled")]
    TimerCancelled(TimerFact),
    /// The process has reacted to a due timer.
    #[serde(rename = "timer.fired")]
    TimerFired(TimerFact),
    /// A command was sent and answered.
    #[serde(rename = "command.sent")]
    CommandSent(CommandSent),
}

/// The data of `source.followed`: a position in the source stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceFollowed {
    pub version: Version,
    /// As 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hexadecimal")]
    pub hash: Option<CommitHash>,
}

/// The data of `timer.set`, `timer.cancelled` and `timer.fired`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimerFact {
    /// The name of the timer.
    pub timer: String,
    /// The time that the timer is, or was, set to.
    pub due: Timestamp,
}

/// The data of `command.sent`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandSent {
    /// The stream of the target.
    pub stream: StreamId,
    pub command_id: CommandId,
    pub outcome: CommandOutcome,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandOutcome {
    Accepted {
        /// The version of the command's commit.
        version: Version,
    },
    Rejected {
        /// The name of the rejection, such as `already-shipped`.
        reason: String,
    },
    /// An earlier attempt was accepted, and sent another command under the same id: the process has changed between the
    /// two.
    SentBefore {},
}

/// A [`ProcessFact`] of the process `P`: the event type of its streams.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct ProcessEvent<P> {
    pub fact: ProcessFact,
    #[serde(skip)]
    process: PhantomData<fn() -> P>,
}

impl<P: Process> Event for ProcessEvent<P> {
    const CATEGORY: &'static str = P::NAME;
    const SCHEMAS: &'static [(&'static str, u32)] =
        &[("source.followed", 1), ("timer.set", 1), ("timer.cancelled", 1), ("timer.fired", 1), ("command.sent", 1)];
}

impl<P> From<ProcessFact> for ProcessEvent<P> {
    fn from(fact: ProcessFact) -> Self {
        Self { fact, process: PhantomData }
    }
}

// Derived implementations would require the same traits of `P`.

impl<P> Clone for ProcessEvent<P> {
    fn clone(&self) -> Self {
        self.fact.clone().into()
    }
}

impl<P> Debug for ProcessEvent<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fact.fmt(f)
    }
}

impl<P> PartialEq for ProcessEvent<P> {
    fn eq(&self, other: &Self) -> bool {
        self.fact == other.fact
    }
}

/// A hash as hexadecimal digits, because the data of an event is JSON.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::CommitHash;

    pub(super) fn serialize<S: Serializer>(hash: &Option<CommitHash>, serializer: S) -> Result<S::Ok, S::Error> {
        match hash {
            Some(hash) => serializer.collect_str(hash),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<CommitHash>, D::Error> {
        let Some(digits) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        parse(&digits).map(Some).ok_or_else(|| D::Error::custom("a hash must be 64 hexadecimal digits"))
    }

    fn parse(digits: &str) -> Option<CommitHash> {
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(CommitHash::new(bytes))
    }
}
