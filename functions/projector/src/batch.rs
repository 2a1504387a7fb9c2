//! What a batch of stream records says: which streams have commits, and where in the batch each was first mentioned.

use std::collections::BTreeMap;

use aws_lambda_events::dynamodb::EventRecord;
use cqrs::{StoredCommit, StreamId, Version};
use cqrs_dynamodb::CatchUpRequest;
use serde::Deserialize;
use serde_dynamo::from_item;

/// A batch of stream records, sorted by stream.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// How many records there are.
    pub(crate) records: usize,
    /// How many are of items that are no commits.
    pub(crate) foreign: usize,
    /// How many say that a commit was changed or removed, which nobody may.
    pub(crate) tampered: usize,
    streams: BTreeMap<StreamId, Mention>,
}

/// What a batch says of one stream.
#[derive(Debug)]
struct Mention {
    request: CatchUpRequest,
    /// Where in the batch the stream comes first, and the sequence number of that record.
    first: (usize, Option<String>),
}

/// What makes an item a commit: its keys. Whether the rest of it can be read is found out when it is folded.
#[derive(Deserialize)]
struct CommitKeys {
    stream: StreamId,
    version: Version,
}

impl Batch {
    /// Reads the records in their order. Nothing depends on it but the place of the first failure.
    pub(crate) fn read(records: Vec<EventRecord>) -> Self {
        let mut batch = Self { records: records.len(), ..Self::default() };
        for (place, record) in records.into_iter().enumerate() {
            let change = record.change;
            let Ok(CommitKeys { stream, version }) = from_item(change.keys) else {
                batch.foreign += 1;
                continue;
            };
            if record.event_name != "INSERT" {
                batch.tampered += 1;
                continue;
            }
            // An image that is missing or cannot be read is no loss: the commit is read from the write table.
            let commit = from_item::<_, StoredCommit>(change.new_image).ok();
            let commit = commit.filter(|commit| commit.stream == stream && commit.version == version);
            let mention = batch.streams.entry(stream.clone()).or_insert_with(|| Mention {
                request: CatchUpRequest::new(stream),
                first: (place, change.sequence_number),
            });
            mention.request.observe(version, commit);
        }
        batch
    }

    /// The streams that have commits.
    pub(crate) fn requests(&self) -> Vec<CatchUpRequest> {
        self.streams.values().map(|mention| mention.request.clone()).collect()
    }

    /// The commits that the records brought along.
    pub(crate) fn commits(&self) -> impl Iterator<Item = &StoredCommit> {
        self.streams.values().flat_map(|mention| mention.request.commits.values())
    }

    /// The sequence number of the first record that mentions one of these streams; `Some(None)` if it has none.
    pub(crate) fn first_of<'a>(&self, streams: impl Iterator<Item = &'a StreamId>) -> Option<Option<String>> {
        let mentions = streams.filter_map(|stream| self.streams.get(stream));
        mentions.map(|mention| &mention.first).min_by_key(|(place, _)| *place).map(|(_, number)| number.clone())
    }
}
