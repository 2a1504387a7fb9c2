//! The event store: one table, one item a commit, never updated and never deleted.
//!
//! | attribute | |
//! |---|---|
//! | `stream` (partition key) | `order#7c9e…` |
//! | `version` (sort key) | 1, 2, 3 … without holes |
//! | `command_id`, `fingerprint` | which command this answers, and what it asked |
//! | `recorded_at`, `caller`, `trace` | when, for whom, in which trace |
//! | `events` | a list of `{type, schema, data}` |

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_sdk_dynamodb::{
    error::SdkError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use cqrs::{Commit, Event, StoredCommit, StreamId, Version};
use serde_dynamo::{from_item, to_item};

use crate::{
    Dynamo, StoreError,
    item::{self, Item, existing_item, number, text},
};

pub(crate) const STREAM: &str = "stream";
pub(crate) const VERSION: &str = "version";
pub(crate) const RECORDED_AT: &str = "recorded_at";

/// The most bytes of one commit. DynamoDB takes 400 KB an item; the stream record and the view need room too.
const MAX_COMMIT: usize = 350 * 1024;

/// Loads and appends commits.
#[derive(Clone, Debug)]
pub struct EventStore {
    dynamo: Dynamo,
    table: Arc<str>,
    conflicts: Arc<AtomicUsize>,
}

/// What became of a commit that was to be appended.
#[derive(Debug)]
pub enum AppendOutcome {
    /// It is there: written just now.
    Written,
    /// It was there: the same command had landed before, through an answer that was lost or a request at the same time.
    AlreadyWritten,
    /// Another command has taken the version.
    VersionConflict,
    /// The command id is taken by a command that asked for something else.
    IdempotencyKeyReused,
}

impl EventStore {
    /// The event store in `table`.
    pub fn new(dynamo: Dynamo, table: impl Into<Arc<str>>) -> Self {
        Self { dynamo, table: table.into(), conflicts: Arc::default() }
    }

    /// The DynamoDB it is kept in.
    pub fn dynamo(&self) -> &Dynamo {
        &self.dynamo
    }

    /// What its table is called.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// How often an append came too late, since this event store was made: its clones count together.
    pub fn conflicts(&self) -> usize {
        self.conflicts.load(Ordering::Relaxed)
    }

    /// Writes the commit if its version is free: one write unit per KB, no read.
    ///
    /// Safe to repeat: a commit that has landed before is recognised by its command id.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::OutcomeUnknown`] the commit may be there, after any other it is not.
    pub async fn append<E: Event>(&self, commit: &Commit<E>) -> Result<AppendOutcome, StoreError> {
        let stored = commit.encode().map_err(StoreError::bug)?;
        let item: Item = to_item(&stored).map_err(StoreError::bug)?;
        let bytes = item::size(&item);
        if bytes > MAX_COMMIT {
            return Err(StoreError::TooLarge { bytes });
        }
        let outcome = self
            .dynamo
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#stream)")
            .expression_attribute_names("#stream", STREAM)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .customize()
            .config_override(self.dynamo.call_config()?)
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(AppendOutcome::Written),
            Err(SdkError::ServiceError(answer)) if answer.err().is_conditional_check_failed_exception() => {
                let appended = classify_conflict(&stored, &existing_item(answer.into_err()).unwrap_or_default());
                if matches!(appended, AppendOutcome::VersionConflict) {
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                Ok(appended)
            }
            Err(error) => Err(StoreError::from_write(error)),
        }
    }

    /// All commits of a stream, strongly consistent: one read unit per 4 KB. None if there is no such stream.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a version is missing or an event is not known to this code; [`StoreError::Unavailable`] if
    /// a part of the stream could not be read. Never a part of it.
    pub async fn load<E: Event>(&self, stream: &StreamId) -> Result<Vec<Commit<E>>, StoreError> {
        let commits = self.load_after(stream, Version::NONE).await?;
        commits.into_iter().map(decode).collect()
    }

    /// The commits of a stream that come after `after`, strongly consistent and in order, not decoded: one read unit per
    /// 4 KB.
    ///
    /// # Errors
    /// As [`load`](Self::load), but for events that are not known.
    pub async fn load_after(&self, stream: &StreamId, after: Version) -> Result<Vec<StoredCommit>, StoreError> {
        match self.load_readable(stream, after).await? {
            (commits, None) => Ok(commits),
            (_, Some(corrupt)) => Err(corrupt),
        }
    }

    /// The same, up to the first item that is not as it must be, and what is wrong with that one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if a part of the stream could not be read.
    pub(crate) async fn load_readable(
        &self,
        stream: &StreamId,
        after: Version,
    ) -> Result<(Vec<StoredCommit>, Option<StoreError>), StoreError> {
        let mut commits = Vec::new();
        let mut from_key = None;
        let mut last = after;
        loop {
            let page = self
                .dynamo
                .client
                .query()
                .table_name(&*self.table)
                .consistent_read(true)
                .key_condition_expression("#stream = :stream AND #version > :after")
                .expression_attribute_names("#stream", STREAM)
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":stream", text(stream.as_str()))
                .expression_attribute_values(":after", number(after))
                .set_exclusive_start_key(from_key)
                .customize()
                .config_override(self.dynamo.call_config()?)
                .send()
                .await
                .map_err(StoreError::from_read)?;
            for item in page.items.unwrap_or_default() {
                match self.read(stream, last.next(), item) {
                    Ok(commit) => {
                        last = commit.version;
                        commits.push(commit);
                    }
                    Err(corrupt) => return Ok((commits, Some(corrupt))),
                }
            }
            from_key = page.last_evaluated_key;
            if from_key.is_none() {
                return Ok((commits, None));
            }
        }
    }

    /// The commit in `item`, which must have `version`.
    fn read(&self, stream: &StreamId, version: Version, item: Item) -> Result<StoredCommit, StoreError> {
        let corrupt = |reason: &str| StoreError::Corrupt { stream: stream.clone(), version, reason: reason.to_owned() };
        if item.get(VERSION) != Some(&number(version)) {
            return Err(corrupt("a version is missing"));
        }
        from_item(item).map_err(|_| corrupt("the item is no commit"))
    }
}

/// The commit with its events decoded.
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

/// What the item that stands in the way of `commit` tells about it.
fn classify_conflict(commit: &StoredCommit, old: &Item) -> AppendOutcome {
    let attribute = |name: &str| old.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
    let holds = |name: &str, value: &dyn ToString| attribute(name).is_some_and(|old| *old == value.to_string());
    match (holds("command_id", &commit.command_id), holds("fingerprint", &commit.fingerprint)) {
        (true, true) => AppendOutcome::AlreadyWritten,
        (true, false) => AppendOutcome::IdempotencyKeyReused,
        (false, _) => AppendOutcome::VersionConflict,
    }
}
