//! Sweeps up after batches that were given up: catches up the streams that they were about.
//!
//! What the on-failure queue has of a batch is its place in the stream and when its records arrived. The stream forgets
//! after a day, so it is the events table that is asked: for streams with a commit of that time.

use app::App;
use cqrs::StreamId;
use cqrs_dynamodb::{CatchUpRequest, StoreError, StreamFilter};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    rebuild::{RebuildReport, catch_up},
    segments::{Checkpoint, walk},
};

/// By how much the clocks of a function and of a stream may differ; Amazon DynamoDB Local rounds to the minute.
const APART: SignedDuration = SignedDuration::from_mins(5);

/// A batch that was given up, as Lambda tells the on-failure destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiscardedBatch {
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: BatchInfo,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    approximate_arrival_of_first_record: Timestamp,
    approximate_arrival_of_last_record: Timestamp,
}

/// What `aws sqs receive-message` prints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    body: String,
}

/// Reads messages: their bodies, a line of JSON each, or what `aws sqs receive-message` prints.
///
/// # Errors
/// What cannot be read.
pub fn read(text: &str) -> Result<Vec<DiscardedBatch>, serde_json::Error> {
    let mut discarded = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>() {
        let document = document?;
        if document.get("Messages").is_none() {
            discarded.push(serde_json::from_value(document)?);
            continue;
        }
        for message in serde_json::from_value::<Received>(document)?.messages {
            discarded.push(serde_json::from_str(&message.body)?);
        }
    }
    Ok(discarded)
}

/// Catches up the streams that these batches may have been about, parked or not: all with a commit of their time, and a
/// few more. Reads the whole events table once, from `checkpoint` on, and tells `each` what it has come to so far.
///
/// # Errors
/// [`StoreError`] of a read of the events table.
pub async fn sweep(
    app: &App,
    discarded: &[DiscardedBatch],
    checkpoint: Checkpoint,
    mut each: impl FnMut(&RebuildReport, &Checkpoint),
) -> Result<RebuildReport, StoreError> {
    if let Some(time) = time_of(discarded) {
        return catch_up(app, time, CatchUpRequest::redrive, checkpoint, each).await;
    }
    let nothing = RebuildReport::default();
    each(&nothing, &Checkpoint::start(0));
    Ok(nothing)
}

/// The streams that a sweep would catch up.
///
/// # Errors
/// [`StoreError`] of a read.
pub async fn streams(
    app: &App,
    discarded: &[DiscardedBatch],
    checkpoint: Checkpoint,
) -> Result<Vec<StreamId>, StoreError> {
    let mut found = Vec::new();
    if let Some(time) = time_of(discarded) {
        let keep = |streams| async { Ok(streams) };
        walk(app, time, checkpoint, keep, |streams, _| found.extend(streams)).await?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The time that the records of these batches were written in, and a little around it.
fn time_of(discarded: &[DiscardedBatch]) -> Option<StreamFilter> {
    let first = discarded.iter().map(|discarded| discarded.batch.approximate_arrival_of_first_record).min()?;
    let last = discarded.iter().map(|discarded| discarded.batch.approximate_arrival_of_last_record).max()?;
    let from = first.checked_sub(APART).unwrap_or(Timestamp::MIN);
    let to = last.checked_add(APART).unwrap_or(Timestamp::MAX);
    Some(StreamFilter::RecordedBetween(from, to))
}
