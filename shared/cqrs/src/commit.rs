//! A commit: the events of one accepted command, written as one.

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::{CommandId, Event, EventRecord, Fingerprint, StreamId, Undecodable, Version};

/// The events of one accepted command, and what is known of the command itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit<E> {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream, from 1, without holes.
    pub version: Version,
    /// The command that caused it: a repeat of the command is recognised by it.
    pub command_id: CommandId,
    /// What the command asked for, so that another command under the same id is told from a repeat.
    pub fingerprint: Fingerprint,
    /// When it was accepted, to the microsecond; never earlier than the commit before it.
    pub recorded_at: Timestamp,
    /// Who asked.
    pub caller: String,
    /// The W3C `traceparent` of the request, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// What happened, in order; never empty.
    pub events: Vec<E>,
}

/// A commit as it is stored: its events are not decoded yet.
pub type StoredCommit = Commit<EventRecord>;

/// One event as a projection sees it: with its commit's place and time.
#[derive(Debug)]
pub struct Recorded<'a, E> {
    /// The stream it belongs to.
    pub stream: &'a StreamId,
    /// The version of its commit.
    pub version: Version,
    /// The time of its commit.
    pub recorded_at: Timestamp,
    /// What happened.
    pub event: &'a E,
}

impl<E> Commit<E> {
    /// The events, each with the commit's place and time.
    pub fn recorded(&self) -> impl Iterator<Item = Recorded<'_, E>> {
        let Self { stream, version, recorded_at, .. } = self;
        self.events.iter().map(|event| Recorded { stream, version: *version, recorded_at: *recorded_at, event })
    }
}

impl<E: Event> Commit<E> {
    /// The stored form.
    ///
    /// # Errors
    /// As [`EventRecord::encode`].
    pub fn encode(&self) -> Result<StoredCommit, serde_json::Error> {
        let events = self.events.iter().map(EventRecord::encode).collect::<Result<_, _>>()?;
        Ok(self.clone().with_events(events))
    }
}

impl StoredCommit {
    /// The commit with its events, lifted to the schema versions of today.
    ///
    /// # Errors
    /// [`Undecodable`], if one of the events is.
    pub fn decode<E: Event>(mut self) -> Result<Commit<E>, Undecodable> {
        let events = std::mem::take(&mut self.events).into_iter().map(EventRecord::decode).collect::<Result<_, _>>()?;
        Ok(self.with_events(events))
    }
}

impl<E> Commit<E> {
    fn with_events<F>(self, events: Vec<F>) -> Commit<F> {
        let Self { stream, version, command_id, fingerprint, recorded_at, caller, trace, .. } = self;
        Commit { stream, version, command_id, fingerprint, recorded_at, caller, trace, events }
    }
}

/// The time to record for a commit decided `now`, after one recorded at `previous`: to the microsecond, and never
/// going back, whatever the clock does.
pub fn recorded_at(now: Timestamp, previous: Option<Timestamp>) -> Timestamp {
    let now = now.round(Unit::Microsecond).unwrap_or(now);
    previous.map_or(now, |previous| now.max(previous))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_time_never_goes_back() {
        let (early, late): (Timestamp, Timestamp) =
            ("2026-11-22T10:00:00Z".parse().unwrap(), "2026-11-22T11:00:00Z".parse().unwrap());
        assert_eq!(recorded_at(early, Some(late)), late);
        assert_eq!(recorded_at(late, Some(early)), late);
        assert_eq!(recorded_at(early, None), early);
    }

    #[test]
    fn recorded_time_is_kept_to_the_microsecond() {
        let now: Timestamp = "2026-11-22T10:00:00.123456400Z".parse().unwrap();
        assert_eq!(recorded_at(now, None).to_string(), "2026-11-22T10:00:00.123456Z");
    }
}
