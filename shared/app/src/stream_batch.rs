//! A batch of records of the events table's stream, grouped into catch-up requests, and the response to it.
//!
//! A record is identified by its keys. A field that is not used cannot make it fail, and a malformed record does not
//! affect the others. The stream only signals that an event stream has new commits, so an unreadable
//! image or an unknown event name costs at most one more read of the event store.

#![allow(clippy::indexing_slicing, reason = "indexing a JSON value returns null for a missing part")]

use std::collections::BTreeMap;

use cqrs::{StoredCommit, StreamId, Version};
use cqrs_dynamodb::{CatchUpReport, CatchUpRequest, commit_item};
use jiff::Timestamp;
use serde::Deserialize;
use serde_dynamo::Item;
use serde_json::Value;

use crate::BatchResponse;

/// A parsed batch of stream records.
#[derive(Debug, Default)]
pub struct StreamBatch {
    /// The number of records.
    pub records: usize,
    /// Records without the keys of a commit.
    pub not_a_commit: usize,
    /// Records that report a changed or removed commit. No part of the system changes or removes one.
    pub tampered: usize,
    /// One request per stream.
    pub requests: Vec<CatchUpRequest>,
    /// The sequence number of each record that has one.
    sequence_numbers: Vec<Option<String>>,
    /// The index of the first record of each stream.
    first_records: BTreeMap<StreamId, usize>,
}

impl StreamBatch {
    /// Reads the event of an invocation, which may be any JSON with a list of records.
    ///
    /// # Errors
    /// [`NoRecords`] if the event has no list of records.
    pub fn of(event: &Value) -> Result<Self, NoRecords> {
        event["Records"].as_array().map(|records| Self::read(records)).ok_or(NoRecords)
    }

    /// Reads the records, which may be any JSON. Their order matters only for the position of the first failure.
    fn read(records: &[Value]) -> Self {
        let mut batch = Self { records: records.len(), ..Self::default() };
        let mut requests = BTreeMap::new();
        for (index, record) in records.iter().enumerate() {
            let change = &record["dynamodb"];
            let number = change["SequenceNumber"].as_str().filter(|number| !number.is_empty());
            batch.sequence_numbers.push(number.map(str::to_owned));
            let Some((stream, version)) = commit_keys(&change["Keys"]) else {
                batch.not_a_commit += 1;
                continue;
            };
            if let Some("MODIFY" | "REMOVE") = record["eventName"].as_str() {
                batch.tampered += 1;
                continue;
            }
            // If the image is missing, malformed or changed, the catch-up reads the commit from the events table.
            let commit = commit(&change["NewImage"]);
            let commit = commit.filter(|commit| commit.stream == stream && commit.version == version);
            batch.first_records.entry(stream.clone()).or_insert(index);
            let request = requests.entry(stream.clone()).or_insert_with(|| CatchUpRequest::new(stream));
            request.observe(version, commit);
        }
        batch.requests = requests.into_values().collect();
        batch
    }

    /// Returns the commits in the records whose streams were caught up.
    pub fn caught_up<'a>(&'a self, report: &'a CatchUpReport) -> impl Iterator<Item = &'a StoredCommit> {
        let commits = self.requests.iter().flat_map(|request| request.commits.values());
        commits
            .filter(|commit| !report.failed.contains_key(&commit.stream) && !report.parked.contains_key(&commit.stream))
    }

    /// Returns the time from each of these commits to `now`, in milliseconds.
    pub fn lags(&self, report: &CatchUpReport, now: Timestamp) -> Vec<i64> {
        let lags = self.caught_up(report).map(|commit| now.duration_since(commit.recorded_at).as_millis());
        lags.filter_map(|lag| i64::try_from(lag).ok()).collect()
    }

    /// Returns the response to the batch: it names the first record whose stream was not caught up, or the nearest
    /// record before it that has a sequence number. Lambda delivers this record and all later ones again.
    ///
    /// # Errors
    /// [`NoSequenceNumber`] if neither that record nor one before it has a number.
    pub fn response(&self, report: &CatchUpReport) -> Result<BatchResponse, NoSequenceNumber> {
        Ok(BatchResponse::failed(self.retry_from(report.failed.keys())?))
    }

    /// Returns the sequence number from which Lambda must deliver again to repeat all records of these streams. `None`
    /// if the batch has no record of them.
    ///
    /// This is the number of their first record. If that record has none, it is the nearest number before it, which is
    /// safe because any record may be repeated.
    ///
    /// # Errors
    /// [`NoSequenceNumber`] if neither that record nor one before it has a number.
    fn retry_from<'a>(&self, streams: impl Iterator<Item = &'a StreamId>) -> Result<Option<String>, NoSequenceNumber> {
        let Some(first) = streams.filter_map(|stream| self.first_records.get(stream)).min() else { return Ok(None) };
        let mut numbers = self.sequence_numbers.iter().take(first + 1).rev().flatten();
        numbers.next().cloned().map(Some).ok_or(NoSequenceNumber)
    }
}

/// The event is not a batch of stream records.
#[derive(Debug, thiserror::Error)]
#[error("the event has no list of records")]
pub struct NoRecords;

/// The response cannot tell Lambda where to repeat the batch.
#[derive(Debug, thiserror::Error)]
#[error("no record up to the first failed one has a sequence number")]
pub struct NoSequenceNumber;

/// Returns the keys that make an item a commit. The fold checks the rest of the item.
fn commit_keys(keys: &Value) -> Option<(StreamId, Version)> {
    let stream = keys["stream"]["S"].as_str()?.to_owned().try_into().ok()?;
    let version = keys["version"]["N"].as_str()?.parse().ok().filter(|version| *version > 0)?;
    Some((stream, Version::new(version)))
}

fn commit(image: &Value) -> Option<StoredCommit> {
    commit_item::decode(Item::deserialize(image).ok()?.into()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(number: &str, stream: &str) -> Value {
        let keys = json!({ "stream": { "S": stream }, "version": { "N": "1" } });
        json!({ "eventName": "INSERT", "dynamodb": { "Keys": keys, "SequenceNumber": number } })
    }

    fn retry_from(records: &[Value], failed: &[&str]) -> Result<Option<String>, NoSequenceNumber> {
        let failed: Vec<StreamId> = failed.iter().map(|name| StreamId::try_from((*name).to_owned()).unwrap()).collect();
        StreamBatch::read(records).retry_from(failed.iter())
    }

    #[test]
    fn a_batch_is_repeated_from_the_first_record_of_a_failed_stream() {
        let records = [record("1", "loan#a"), record("2", "loan#b"), record("3", "loan#c"), record("4", "loan#b")];
        assert_eq!(retry_from(&records, &[]).unwrap(), None);
        assert_eq!(retry_from(&records, &["loan#c", "loan#b"]).unwrap().as_deref(), Some("2"));
    }

    #[test]
    fn a_failed_record_without_a_number_is_repeated_with_the_records_before_it() {
        let mut records = [record("1", "loan#a"), json!(null), record("", "loan#b"), record("4", "loan#c")];
        assert_eq!(retry_from(&records, &["loan#b"]).unwrap().as_deref(), Some("1"));
        records[0]["dynamodb"]["SequenceNumber"] = json!(null);
        assert!(retry_from(&records, &["loan#b"]).is_err());
    }

    #[test]
    fn only_usable_keys_make_a_commit() {
        let with_keys = |keys: Value| json!({ "eventName": "INSERT", "dynamodb": { "Keys": keys } });
        for keys in [
            json!(null),
            json!({}),
            json!({ "stream": { "S": "loan" }, "version": { "N": "1" } }),
            json!({ "stream": { "S": "loan#a" }, "version": { "N": "-1" } }),
            json!({ "stream": { "S": "loan#a" }, "version": { "N": "0" } }),
            json!({ "stream": { "S": "loan#a" }, "version": { "N": "1.5" } }),
            json!({ "stream": { "S": "loan#a" }, "version": { "S": "1" } }),
            json!({ "stream": { "B": "bG9hbiNh" }, "version": { "N": "1" } }),
        ] {
            let batch = StreamBatch::read(&[with_keys(keys.clone()), record("2", "loan#a")]);
            assert_eq!((batch.not_a_commit, batch.requests.len()), (1, 1), "{keys}");
        }
    }
}
