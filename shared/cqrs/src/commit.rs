//! Commits: the events of one accepted command, written as one item.
//!
//! The commits of a stream form a hash chain: each has a hash of its whole content, which includes the hash of its
//! predecessor. [`Position`] checks that one commit follows another.

use std::fmt::{self, Display};

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::{CommandId, Event, EventRecord, Fingerprint, StreamId, Undecodable, Version, identity::hex};

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
    /// The hash of the previous commit; `None` for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<CommitHash>,
    /// The hash of the stored commit, over everything but this field; `None` before the commit is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<CommitHash>,
    /// In order; never empty.
    pub events: Vec<E>,
}

/// The SHA-256 hash of a commit. The event store defines the canonical form that is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitHash([u8; 32]);

/// A position in a stream: the last commit that a view contains, or that a command was decided on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub version: Version,
    /// The hash of the commit with this version; `None` at the start of the stream.
    pub hash: Option<CommitHash>,
}

/// A commit that does not follow a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    #[error("a version is missing")]
    VersionMissing,
    /// The commit at the position, or this one, is not the commit that was written.
    #[error("the commit does not continue its predecessor")]
    OtherPredecessor,
}

/// A commit in its stored form, with events that are not decoded.
pub type StoredCommit = Commit<EventRecord>;

/// One event with the position and time of its commit: the input of a projection.
#[derive(Debug)]
pub struct Recorded<'a, E> {
    pub stream: &'a StreamId,
    pub version: Version,
    pub recorded_at: Timestamp,
    /// The position of the event in its commit, from 0.
    pub index: usize,
    pub event: &'a E,
}

impl CommitHash {
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Hashes the content of a commit in its canonical form.
    pub fn of(content: &str) -> Self {
        Self(Sha256::digest(content.as_bytes()).into())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Formats the hash as 64 hexadecimal digits.
impl Display for CommitHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Serializes as bytes, which DynamoDB stores as a binary attribute.
impl Serialize for CommitHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for CommitHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl<'de> de::Visitor<'de> for Bytes {
            type Value = CommitHash;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32 bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<CommitHash, E> {
                bytes.try_into().map(CommitHash).map_err(|_| E::invalid_length(bytes.len(), &self))
            }

            // JSON has no bytes, and serde_json writes them as numbers.
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut numbers: A) -> Result<CommitHash, A::Error> {
                let mut bytes = Vec::with_capacity(32);
                while let Some(byte) = numbers.next_element()? {
                    bytes.push(byte);
                }
                self.visit_bytes(&bytes)
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

impl Position {
    /// The position before the first commit.
    pub const START: Self = Self { version: Version::NONE, hash: None };

    /// Returns the position after `commit`, if the commit follows this position.
    ///
    /// # Errors
    /// [`BrokenChain`] if the commit has another version or another predecessor.
    pub fn after<E>(self, commit: &Commit<E>) -> Result<Self, BrokenChain> {
        if commit.version != self.version.next() {
            Err(BrokenChain::VersionMissing)
        } else if commit.previous != self.hash {
            Err(BrokenChain::OtherPredecessor)
        } else {
            Ok(commit.position())
        }
    }
}

impl<E> Recorded<'_, E> {
    /// Returns the id of the event: `<stream>/<version>/<index>`, such as `order#7c9e…/1/0`.
    pub fn id(&self) -> String {
        format!("{}/{}/{}", self.stream, self.version, self.index)
    }
}

impl<E> Commit<E> {
    /// Returns the position of this commit.
    pub fn position(&self) -> Position {
        Position { version: self.version, hash: self.hash }
    }

    /// Iterates over the events, each with the commit's position and time.
    pub fn recorded(&self) -> impl Iterator<Item = Recorded<'_, E>> {
        let Self { stream, version, recorded_at, .. } = self;
        self.events.iter().enumerate().map(|(index, event)| Recorded {
            stream,
            version: *version,
            recorded_at: *recorded_at,
            index,
            event,
        })
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
        let Self { stream, version, command_id, fingerprint, recorded_at, caller, trace, previous, hash, .. } = self;
        Commit { stream, version, command_id, fingerprint, recorded_at, caller, trace, previous, hash, events }
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

    fn commit(version: u64, previous: Option<u8>, hash: u8) -> StoredCommit {
        Commit {
            stream: StreamId::try_from("loan#1".to_owned()).unwrap(),
            version: Version::new(version),
            command_id: CommandId::derived("alice", "1"),
            fingerprint: Fingerprint::of(&[]),
            recorded_at: Timestamp::UNIX_EPOCH,
            caller: "alice".to_owned(),
            trace: None,
            previous: previous.map(|byte| CommitHash::new([byte; 32])),
            hash: Some(CommitHash::new([hash; 32])),
            events: Vec::new(),
        }
    }

    #[test]
    fn a_commit_follows_the_position_of_its_predecessor_only() {
        let (first, second) = (commit(1, None, 1), commit(2, Some(1), 2));
        let position = Position::START.after(&first).unwrap();
        assert_eq!(position.after(&second), Ok(second.position()));
        assert_eq!(position.after(&commit(3, Some(1), 3)), Err(BrokenChain::VersionMissing));
        assert_eq!(position.after(&commit(2, Some(9), 2)), Err(BrokenChain::OtherPredecessor));
        assert_eq!(position.after(&commit(2, None, 2)), Err(BrokenChain::OtherPredecessor));
        assert_eq!(Position::START.after(&commit(1, Some(1), 1)), Err(BrokenChain::OtherPredecessor));
    }

    #[test]
    fn a_commit_hash_has_32_bytes() {
        let hash = CommitHash::new([7; 32]);
        let json = serde_json::to_value(hash).unwrap();
        assert_eq!(serde_json::from_value::<CommitHash>(json).unwrap(), hash);
        assert!(serde_json::from_value::<CommitHash>(serde_json::json!([7, 7])).is_err());
        assert_eq!(hash.to_string(), "07".repeat(32));
    }

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
