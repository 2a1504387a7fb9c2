//! The event store: one table with one item per commit. Items are never updated or deleted.
//!
//! | attribute | value |
//! |---|---|
//! | `stream` (partition key) | `order#7c9e…` |
//! | `version` (sort key) | 1, 2, 3 … without gaps |
//! | `command_id`, `fingerprint` | identify the command and its content |
//! | `recorded_at`, `caller`, `trace` | time, caller and trace of the command |
//! | `events` | a list of `{type, schema, data}` |

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use cqrs::{Commit, Event, StoredCommit, StreamId, Version};
use serde_dynamo::{from_item, to_item};

use crate::{
    Dynamo, StoreError,
    call::ConditionalWrite,
    item::{self, Item, number, text, text_of},
};

pub(crate) const STREAM: &str = "stream";
pub(crate) const VERSION: &str = "version";
pub(crate) const RECORDED_AT: &str = "recorded_at";

/// The size limit of one commit in bytes. DynamoDB allows 400 KB per item; the rest is a reserve for the stream
/// record and the view.
const MAX_COMMIT: usize = 350 * 1024;

/// Loads and appends commits.
#[derive(Clone, Debug)]
pub struct EventStore {
    dynamo: Dynamo,
    table: Arc<str>,
    conflicts: Arc<AtomicUsize>,
}

/// The outcome of appending a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    Written,
    /// Already written by an earlier or concurrent attempt of the same command.
    AlreadyWritten,
    /// Another command has written this version.
    VersionConflict,
    /// The command id belongs to a command with other content.
    IdempotencyKeyReused,
}

impl EventStore {
    pub fn new(dynamo: Dynamo, table: impl Into<Arc<str>>) -> Self {
        Self { dynamo, table: table.into(), conflicts: Arc::default() }
    }

    pub fn dynamo(&self) -> &Dynamo {
        &self.dynamo
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Returns the number of version conflicts of `append`, including those of all clones.
    pub fn conflicts(&self) -> usize {
        self.conflicts.load(Ordering::Relaxed)
    }

    /// Writes the commit if its version is free. Costs one write unit per KB and no read.
    ///
    /// Safe to repeat: a commit that an earlier attempt wrote is recognized by its command id.
    ///
    /// # Errors
    /// After [`StoreError::OutcomeUnknown`], and rarely after [`StoreError::Unavailable`], the commit may be written.
    /// After any other [`StoreError`] it is not.
    pub async fn append<E: Event>(&self, commit: &Commit<E>) -> Result<AppendOutcome, StoreError> {
        let stored = commit.encode().map_err(StoreError::bug)?;
        let item: Item = to_item(&stored).map_err(StoreError::bug)?;
        let bytes = item::size(&item);
        if bytes > MAX_COMMIT {
            return Err(StoreError::TooLarge { bytes });
        }
        let put = self
            .dynamo
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#stream)")
            .expression_attribute_names("#stream", STREAM)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match self.dynamo.write_conditionally(put).await? {
            ConditionalWrite::Written => Ok(AppendOutcome::Written),
            ConditionalWrite::ConditionFailed(existing) => {
                let outcome = classify_conflict(&stored, &existing.unwrap_or_default());
                if outcome == AppendOutcome::VersionConflict {
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                Ok(outcome)
            }
        }
    }

    /// Loads all commits of a stream, or none if the stream does not exist; never a part of a stream. Strongly
    /// consistent; costs one read unit per 4 KB.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a version is missing or this code does not know an event; [`StoreError::Unavailable`]
    /// if a part of the stream could not be read.
    pub async fn load<E: Event>(&self, stream: &StreamId) -> Result<Vec<Commit<E>>, StoreError> {
        let commits = self.load_after(stream, Version::NONE).await?;
        commits.into_iter().map(decode).collect()
    }

    /// Loads the commits of a stream after version `after`, in order and not decoded. Strongly consistent; costs one
    /// read unit per 4 KB.
    ///
    /// # Errors
    /// Like [`load`](Self::load), except that an unknown event is no error.
    pub async fn load_after(&self, stream: &StreamId, after: Version) -> Result<Vec<StoredCommit>, StoreError> {
        match self.load_valid(stream, after).await? {
            (commits, None) => Ok(commits),
            (_, Some(corrupt)) => Err(corrupt),
        }
    }

    /// Like [`load_after`](Self::load_after), but stops at the first malformed commit and returns the error with the
    /// commits before it.
    ///
    /// # Errors
    /// [`StoreError`] of the read.
    pub(crate) async fn load_valid(
        &self,
        stream: &StreamId,
        after: Version,
    ) -> Result<(Vec<StoredCommit>, Option<StoreError>), StoreError> {
        let query = self
            .dynamo
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("#stream = :stream AND #version > :after")
            .expression_attribute_names("#stream", STREAM)
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":stream", text(stream.as_str()))
            .expression_attribute_values(":after", number(after));
        Ok(valid_commits(stream, after, self.dynamo.query_all(query).await?))
    }
}

/// Reads the commits after version `after` from `items`, up to the first one that is missing or malformed.
fn valid_commits(stream: &StreamId, after: Version, items: Vec<Item>) -> (Vec<StoredCommit>, Option<StoreError>) {
    let mut commits = Vec::with_capacity(items.len());
    let mut version = after;
    for item in items {
        version = version.next();
        match read_commit(stream, version, item) {
            Ok(commit) => commits.push(commit),
            Err(corrupt) => return (commits, Some(corrupt)),
        }
    }
    (commits, None)
}

/// Reads the commit in `item`, which must have `version`.
fn read_commit(stream: &StreamId, version: Version, item: Item) -> Result<StoredCommit, StoreError> {
    let corrupt = |reason: &str| StoreError::Corrupt { stream: stream.clone(), version, reason: reason.to_owned() };
    if item.get(VERSION) != Some(&number(version)) {
        return Err(corrupt("a version is missing"));
    }
    from_item(item).map_err(|_| corrupt("the item is not a commit"))
}

/// Decodes the events of a commit. A commit without events is corrupt.
pub(crate) fn decode<E: Event>(commit: StoredCommit) -> Result<Commit<E>, StoreError> {
    let (stream, version) = (commit.stream.clone(), commit.version);
    match commit.decode() {
        Ok(commit) if commit.events.is_empty() => {
            Err(StoreError::Corrupt { stream, version, reason: "the commit has no events".to_owned() })
        }
        Ok(commit) => Ok(commit),
        Err(error) => Err(StoreError::Corrupt { stream, version, reason: error.to_string() }),
    }
}

/// Compares `commit` with the item that exists at its key.
fn classify_conflict(commit: &StoredCommit, existing: &Item) -> AppendOutcome {
    let equal = |name: &str, value: &dyn ToString| text_of(existing, name) == Some(&*value.to_string());
    match (equal("command_id", &commit.command_id), equal("fingerprint", &commit.fingerprint)) {
        (true, true) => AppendOutcome::AlreadyWritten,
        (true, false) => AppendOutcome::IdempotencyKeyReused,
        (false, _) => AppendOutcome::VersionConflict,
    }
}

#[cfg(test)]
mod tests {
    use cqrs::{CommandId, EventRecord, Fingerprint};
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn commit(version: u64, command: &str, content: &str) -> StoredCommit {
        Commit {
            stream: StreamId::try_from("jar#a".to_owned()).unwrap(),
            version: Version::new(version),
            command_id: CommandId::derived("alice", command),
            fingerprint: Fingerprint::of(&[content]),
            recorded_at: Timestamp::UNIX_EPOCH,
            caller: "alice".to_owned(),
            trace: None,
            events: vec![EventRecord { event_type: "jar.filled".to_owned(), schema: 1, data: json!({ "by": 1 }) }],
        }
    }

    fn items(versions: &[u64]) -> Vec<Item> {
        versions.iter().map(|version| to_item(commit(*version, "1", "fill")).unwrap()).collect()
    }

    fn read(after: u64, items: Vec<Item>) -> (Vec<u64>, Option<String>) {
        let stream = commit(1, "1", "fill").stream;
        let (commits, error) = valid_commits(&stream, Version::new(after), items);
        (commits.iter().map(|commit| commit.version.get()).collect(), error.map(|error| error.to_string()))
    }

    #[test]
    fn a_conflict_is_classified_by_the_existing_commit() {
        let existing: Item = to_item(commit(1, "1", "fill")).unwrap();
        let outcome = |command, content| classify_conflict(&commit(1, command, content), &existing);
        assert_eq!(outcome("1", "fill"), AppendOutcome::AlreadyWritten);
        assert_eq!(outcome("1", "empty"), AppendOutcome::IdempotencyKeyReused);
        assert_eq!(outcome("2", "fill"), AppendOutcome::VersionConflict);
        assert_eq!(classify_conflict(&commit(1, "1", "fill"), &Item::new()), AppendOutcome::VersionConflict);
    }

    #[test]
    fn commits_without_gaps_are_read_to_the_end() {
        assert_eq!(read(0, items(&[1, 2, 3])), (vec![1, 2, 3], None));
        assert_eq!(read(2, items(&[3, 4])), (vec![3, 4], None));
        assert_eq!(read(0, Vec::new()), (vec![], None));
    }

    #[test]
    fn reading_stops_before_a_gap_and_before_a_malformed_commit() {
        let missing = Some("stream jar#a is corrupt at version 2: a version is missing".to_owned());
        assert_eq!(read(0, items(&[1, 3])), (vec![1], missing));
        let mut malformed = items(&[1, 2, 3]);
        malformed[1].remove("events");
        let error = Some("stream jar#a is corrupt at version 2: the item is not a commit".to_owned());
        assert_eq!(read(0, malformed), (vec![1], error));
    }
}
