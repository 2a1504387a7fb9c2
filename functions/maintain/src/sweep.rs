//! Sweeps up after batches that were given up: catches up the streams that they were about.
//!
//! What the on-failure queue has of a batch is its place in the stream and when its records arrived. The stream forgets
//! after a day, so it is the events table that is asked: for streams with a commit of that time.

use app::App;
use cqrs::StreamId;
use cqrs_dynamodb::{Failure, Which};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::segments::{Progress, walk};

/// By how much the clocks of a function and of a stream may differ; Amazon DynamoDB Local rounds to the minute.
const APART: SignedDuration = SignedDuration::from_mins(5);

/// A batch that was given up, as Lambda tells the on-failure destination.
#[derive(Clone, Debug, Deserialize)]
pub struct GivenUp {
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: BatchInfo,
}

#[derive(Clone, Debug, Deserialize)]
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
pub fn read(text: &str) -> Result<Vec<GivenUp>, serde_json::Error> {
    let mut given_up = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>() {
        let document = document?;
        if document.get("Messages").is_none() {
            given_up.push(serde_json::from_value(document)?);
            continue;
        }
        for message in serde_json::from_value::<Received>(document)?.messages {
            given_up.push(serde_json::from_str(&message.body)?);
        }
    }
    Ok(given_up)
}

/// The streams that these batches may have been about: all with a commit of their time, and a few more. It reads the
/// whole events table once.
///
/// # Errors
/// [`Failure`] of a read.
pub async fn streams(app: &App, given_up: &[GivenUp], segments: u16) -> Result<Vec<StreamId>, Failure> {
    let first = given_up.iter().map(|given_up| given_up.batch.approximate_arrival_of_first_record).min();
    let last = given_up.iter().map(|given_up| given_up.batch.approximate_arrival_of_last_record).max();
    let (Some(first), Some(last)) = (first, last) else { return Ok(Vec::new()) };
    let from = first.checked_sub(APART).unwrap_or(Timestamp::MIN);
    let to = last.checked_add(APART).unwrap_or(Timestamp::MAX);
    let mut found = Vec::new();
    let keep = async |streams| Ok(streams);
    walk(app, Which::RecordedBetween(from, to), Progress::start(segments), keep, |streams, _| found.extend(streams))
        .await?;
    found.sort();
    found.dedup();
    Ok(found)
}
