//! Sweeps: catches up the streams of the batches that Lambda discarded.
//!
//! The on-failure queue has the position of a batch in the DynamoDB stream and the arrival times of its records. The
//! stream keeps records for 24 hours only. A sweep therefore reads the events table and finds the commits of that time.

use app::App;
use cqrs::{Domain, StreamId};
use cqrs_dynamodb::{CatchUpRequest, StoreError, StreamFilter, StreamsPage};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    rebuild::{RebuildReport, catch_up},
    segments::{Checkpoint, walk},
};

/// The assumed skew between the clocks of a function and of the stream. Amazon DynamoDB Local rounds to the minute.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A batch that Lambda discarded, in the form that it sends to the on-failure destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiscardedBatch {
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: ArrivalTimes,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArrivalTimes {
    approximate_arrival_of_first_record: Timestamp,
    approximate_arrival_of_last_record: Timestamp,
}

/// The output of `aws sqs receive-message`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceivedMessages {
    messages: Vec<QueueMessage>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueMessage {
    body: String,
}

/// Parses messages of the on-failure queue: one body in JSON per line, or the output of `aws sqs receive-message`.
///
/// # Errors
/// The error of the first message that is not JSON or describes no batch.
pub fn read(text: &str) -> Result<Vec<DiscardedBatch>, serde_json::Error> {
    let mut discarded = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>() {
        let document = document?;
        if document.get("Messages").is_none() {
            discarded.push(serde_json::from_value(document)?);
            continue;
        }
        for message in serde_json::from_value::<ReceivedMessages>(document)?.messages {
            discarded.push(serde_json::from_str(&message.body)?);
        }
    }
    Ok(discarded)
}

/// Catches up every stream with a commit recorded around these batches, parked or not. Reads the whole events table
/// once, from `checkpoint` on. Calls `on_page` after each page with the report and the checkpoint so far.
///
/// # Errors
/// [`StoreError`], if a read of the events table fails. Views that cannot be written are in the report.
pub async fn sweep<D: Domain>(
    app: &App,
    discarded: &[DiscardedBatch],
    checkpoint: Checkpoint,
    mut on_page: impl FnMut(&RebuildReport, &Checkpoint),
) -> Result<RebuildReport, StoreError> {
    if let Some(filter) = recorded_around(discarded) {
        return catch_up::<D>(app, filter, CatchUpRequest::redrive, checkpoint, on_page).await;
    }
    let nothing = RebuildReport::default();
    on_page(&nothing, &Checkpoint::start(0));
    Ok(nothing)
}

/// Returns the streams that a sweep would catch up.
///
/// # Errors
/// [`StoreError`], if a read fails.
pub async fn streams<D: Domain>(
    app: &App,
    discarded: &[DiscardedBatch],
    checkpoint: Checkpoint,
) -> Result<Vec<StreamId>, StoreError> {
    let mut found = Vec::new();
    if let Some(filter) = recorded_around(discarded) {
        let pass_through = |page| async { Ok(page) };
        walk::<D, StreamsPage, _>(app, filter, checkpoint, pass_through, |page, _| found.extend(page.streams)).await?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Returns the filter for commits recorded between the first and the last arrival, widened by the clock skew. Returns
/// `None` without batches.
fn recorded_around(discarded: &[DiscardedBatch]) -> Option<StreamFilter> {
    let first = discarded.iter().map(|discarded| discarded.batch.approximate_arrival_of_first_record).min()?;
    let last = discarded.iter().map(|discarded| discarded.batch.approximate_arrival_of_last_record).max()?;
    let from = first.checked_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN);
    let to = last.checked_add(CLOCK_SKEW).unwrap_or(Timestamp::MAX);
    Some(StreamFilter::RecordedBetween(from, to))
}
