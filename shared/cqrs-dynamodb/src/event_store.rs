//! The event store: one table with one item per commit. Items are never updated or deleted. [`commit_item`] defines
//! their form.
//!
//! [`commit_item`]: crate::commit_item

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use cqrs::{Commit, Event, Position, StoredCommit, StreamId, Version};

use crate::{
    Dynamo, StoreError,
    call::ConditionalWrite,
    commit_item::{self, STREAM, VERSION, decode_chain, decode_events},
    item::{self, Item, number, text, text_of},
};

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

/// The commits of a stream after a position.
#[derive(Debug)]
pub(crate) struct Continuation {
    /// The requested position, or the start if the stream does not contain the requested one.
    pub(crate) after: Position,
    pub(crate) commits: Vec<StoredCommit>,
    /// The defect after these commits, if there is one.
    pub(crate) corrupt: Option<StoreError>,
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
        let item = commit_item::encode(&stored)?;
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
    /// [`StoreError::Corrupt`] if a commit is missing, changed or replaced, or this code does not know an event;
    /// [`StoreError::Unavailable`] if a part of the stream could not be read.
    pub async fn load<E: Event>(&self, stream: &StreamId) -> Result<Vec<Commit<E>>, StoreError> {
        let commits = self.load_stored(stream).await?;
        commits.into_iter().map(decode_events).collect()
    }

    /// Like [`load`](Self::load), but does not decode the events, so that an unknown event is no error.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub async fn load_stored(&self, stream: &StreamId) -> Result<Vec<StoredCommit>, StoreError> {
        match self.load_all(stream, &[]).await? {
            Continuation { corrupt: Some(corrupt), .. } => Err(corrupt),
            Continuation { commits, .. } => Ok(commits),
        }
    }

    /// Loads the commits of a stream after `position`, not decoded, up to the first one that is missing, malformed,
    /// changed or replaced. Strongly consistent; costs one read unit per 4 KB.
    ///
    /// If the stream does not contain `position`, for example after a restore, returns the commits from the start. This
    /// costs another query.
    ///
    /// # Errors
    /// [`StoreError`] of the read.
    pub(crate) async fn load_after(&self, stream: &StreamId, position: Position) -> Result<Continuation, StoreError> {
        let mut items = self.items_from(stream, position.version).await?;
        if position != Position::START {
            let at_position = if items.is_empty() { None } else { commit_item::decode(items.remove(0)).ok() };
            if at_position.is_none_or(|commit| commit.position() != position) {
                return self.load_all(stream, &[]).await;
            }
        }
        let (commits, corrupt) = decode_chain(stream, position, items, &[]);
        Ok(Continuation { after: position, commits, corrupt })
    }

    /// Loads the commits of a stream from its start, like [`load_after`](Self::load_after). `known` are positions that
    /// views have recorded.
    ///
    /// # Errors
    /// [`StoreError`] of the read.
    pub(crate) async fn load_all(&self, stream: &StreamId, known: &[Position]) -> Result<Continuation, StoreError> {
        let items = self.items_from(stream, Version::NONE).await?;
        let (commits, corrupt) = decode_chain(stream, Position::START, items, known);
        Ok(Continuation { after: Position::START, commits, corrupt })
    }

    /// Reads the items of a stream from `version` on, in order.
    async fn items_from(&self, stream: &StreamId, version: Version) -> Result<Vec<Item>, StoreError> {
        let query = self
            .dynamo
            .client
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("#stream = :stream AND #version >= :version")
            .expression_attribute_names("#stream", STREAM)
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":stream", text(stream.as_str()))
            .expression_attribute_values(":version", number(version));
        self.dynamo.query_all(query).await
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
    use super::*;
    use crate::sample::filled;

    #[test]
    fn a_conflict_is_classified_by_the_existing_commit() {
        let commit = |command: &str, content: &str| StoredCommit {
            command_id: cqrs::CommandId::derived("alice", command),
            fingerprint: cqrs::Fingerprint::of(&[content]),
            ..filled(1, 1)
        };
        let existing = commit_item::encode(&commit("1", "fill")).unwrap();
        let outcome = |command, content| classify_conflict(&commit(command, content), &existing);
        assert_eq!(outcome("1", "fill"), AppendOutcome::AlreadyWritten);
        assert_eq!(outcome("1", "empty"), AppendOutcome::IdempotencyKeyReused);
        assert_eq!(outcome("2", "fill"), AppendOutcome::VersionConflict);
        assert_eq!(classify_conflict(&commit("1", "fill"), &Item::new()), AppendOutcome::VersionConflict);
    }
}
