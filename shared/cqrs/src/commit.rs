//! Commits: the events of one accepted command, written as one item.

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::{CommandId, Event, EventRecord, Fingerprint, StreamId, Undecodable, Version};

/// The events of one accepted command, with the metadata of the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit<E> {
    pub stream: StreamId,
    /// The position in the stream, from 1, without gaps.
    pub version: Version,
    /// The id of the command. It identifies a repeat of the command.
    pub command_id: CommandId,
    /// A digest of the request. It distinguishes a repeat from another command under the same id.
    pub fingerprint: Fingerprint,
    /// The time of acceptance, to the microsecond; never earlier than that of the previous commit.
    pub recorded_at: Timestamp,
    /// The subject that sent the command.
    pub caller: String,
    /// The W3C `traceparent` of the request, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// In order; never empty.
    pub events: Vec<E>,
}

/// A commit in its stored form, with events that are not decoded.
pub type StoredCommit = Commit<EventRecord>;

/// One event with the position and time of its commit: the input of a projection.
#[derive(Debug)]
pub struct Recorded<'a, E> {
    pub stream: &'a StreamId,
    pub version: Version,
    pub recorded_at: Timestamp,
    pub event: &'a E,
}

impl<E> Commit<E> {
    /// Iterates over the events, each with the commit's position and time.
    pub fn recorded(&self) -> impl Iterator<Item = Recorded<'_, E>> {
        let Self { stream, version, recorded_at, .. } = self;
        self.events.iter().map(|event| Recorded { stream, version: *version, recorded_at: *recorded_at, event })
    }
}

impl<E: Event> Commit<E> {
    /// Encodes the events.
    ///
    /// # Errors
    /// The error of [`EventRecord::encode`].
    pub fn encode(&self) -> Result<StoredCommit, serde_json::Error> {
        let events = self.events.iter().map(EventRecord::encode).collect::<Result<_, _>>()?;
        Ok(self.clone().with_events(events))
    }
}

impl StoredCommit {
    /// Decodes the events and upcasts them to their current schema versions.
    ///
    /// # Errors
    /// [`Undecodable`], if an event cannot be decoded.
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

/// Returns the time to record for a commit that is decided at `now` and follows a commit recorded at `previous`:
/// rounded to the microsecond, and never before `previous`, even if the clock goes back.
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
    fn recorded_time_is_rounded_to_the_microsecond() {
        let now: Timestamp = "2026-11-22T10:00:00.123456400Z".parse().unwrap();
        assert_eq!(recorded_at(now, None).to_string(), "2026-11-22T10:00:00.123456Z");
    }
}
