//! A batch of stream records, grouped into catch-up requests.

use std::collections::BTreeMap;

use aws_lambda_events::dynamodb::EventRecord;
use cqrs::{StoredCommit, StreamId, Version};
use cqrs_dynamodb::CatchUpRequest;
use serde::Deserialize;
use serde_dynamo::from_item;

/// A parsed batch of stream records.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The number of records.
    pub(crate) records: usize,
    /// Records of items that are not commits.
    pub(crate) not_a_commit: usize,
    /// Records that report a changed or removed commit. No part of the system changes or removes one.
    pub(crate) tampered: usize,
    /// One request per stream.
    pub(crate) requests: Vec<CatchUpRequest>,
    /// The first record of each stream: its index in the batch and its sequence number.
    first_records: BTreeMap<StreamId, (usize, Option<String>)>,
}

/// The keys that make an item a commit. The fold checks the rest of the item.
#[derive(Deserialize)]
struct CommitKeys {
    stream: StreamId,
    version: Version,
}

impl Batch {
    /// Reads the records. Their order matters only for the position of the first failure.
    pub(crate) fn read(records: Vec<EventRecord>) -> Self {
        let mut batch = Self { records: records.len(), ..Self::default() };
        let mut requests = BTreeMap::new();
        for (index, record) in records.into_iter().enumerate() {
            let change = record.change;
            let Ok(CommitKeys { stream, version }) = from_item(change.keys) else {
                batch.not_a_commit += 1;
                continue;
            };
            if record.event_name != "INSERT" {
                batch.tampered += 1;
                continue;
            }
            // If the image is missing or malformed, the catch-up reads the commit from the events table.
            let commit = from_item::<_, StoredCommit>(change.new_image).ok();
            let commit = commit.filter(|commit| commit.stream == stream && commit.version == version);
            batch.first_records.entry(stream.clone()).or_insert((index, change.sequence_number));
            let request = requests.entry(stream.clone()).or_insert_with(|| CatchUpRequest::new(stream));
            request.observe(version, commit);
        }
        batch.requests = requests.into_values().collect();
        batch
    }

    /// Returns the commits that the records contain.
    pub(crate) fn commits(&self) -> impl Iterator<Item = &StoredCommit> {
        self.requests.iter().flat_map(|request| request.commits.values())
    }

    /// Returns the sequence number of the first record of these streams, or `Some(None)` if that record has none.
    pub(crate) fn first_of<'a>(&self, streams: impl Iterator<Item = &'a StreamId>) -> Option<Option<String>> {
        let records = streams.filter_map(|stream| self.first_records.get(stream));
        records.min_by_key(|(index, _)| *index).map(|(_, sequence_number)| sequence_number.clone())
    }
}
