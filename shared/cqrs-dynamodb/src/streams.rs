//! A parallel scan over all streams, page by page: for rebuild, sweep and verify. [`Projector::streams`] also finds the
//! views whose stream has no commits.
//!
//! [`Projector::streams`]: crate::Projector::streams

use std::collections::BTreeSet;

use cqrs::{StreamId, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    EventStore, StoreError,
    call::Consistency,
    commit_item::{RECORDED_AT, STREAM, VERSION},
    item::{Item, number, number_of, text, text_of},
};

/// The maximum number of commits or views in a page: enough for several transactions.
pub(crate) const PAGE: i32 = 1000;

/// One segment of a parallel scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// From 0.
    pub number: u16,
    /// The number of segments.
    pub of: u16,
}

/// The position of a scan in its segment. A scan reads the commits, then the views of each projection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ScanCursor {
    /// The last commit that was read.
    Commits { stream: StreamId, version: Version },
    /// The key of the last view of a projection that was read; `None` at the start of its views.
    Views {
        projection: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
}

/// Selects the streams of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFilter {
    All,
    /// Streams with a commit that was recorded between two times, both inclusive.
    RecordedBetween(Timestamp, Timestamp),
}

/// A page of streams of one segment.
#[derive(Debug, Default)]
pub struct StreamsPage {
    /// Streams with a first commit, each at most once.
    pub streams: Vec<StreamId>,
    /// Streams without a first commit that have a view, each at most once.
    pub lost: Vec<StreamId>,
    /// The cursor of the next page, or `None` at the end of the segment.
    pub next: Option<ScanCursor>,
}

impl Segment {
    /// A scan with one segment.
    pub const ALL: Self = Self { number: 0, of: 1 };
}

impl EventStore {
    /// Reads the next page of streams after the key `after`: the streams in a thousand commits, or in one megabyte of
    /// commits.
    ///
    /// Eventually consistent; costs half a read unit per 4 KB of commits, with any filter. The scan may miss a stream
    /// that begins during the scan; the projector handles such a stream.
    ///
    /// # Errors
    /// [`StoreError`] of the read; [`StoreError::Bug`] if an item is not a commit.
    pub(crate) async fn streams(
        &self,
        filter: StreamFilter,
        segment: Segment,
        after: Option<Item>,
    ) -> Result<StreamsPage, StoreError> {
        let (attribute, [from, to]) = match filter {
            StreamFilter::All => (VERSION, [number(Version::FIRST), number(Version::FIRST)]),
            // RFC 3339 texts sort like the times, to the second.
            StreamFilter::RecordedBetween(from, to) => (RECORDED_AT, [from, to].map(|time| text(time.to_string()))),
        };
        let scan = self
            .dynamo()
            .client
            .scan()
            .table_name(self.table())
            .segment(segment.number.into())
            .total_segments(segment.of.into())
            .filter_expression("#attribute BETWEEN :from AND :to")
            .projection_expression("#stream")
            .expression_attribute_names("#stream", STREAM)
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":from", from)
            .expression_attribute_values(":to", to)
            .set_exclusive_start_key(after)
            .limit(PAGE);
        let page = self.dynamo().read(scan).await?;
        let streams: Result<Vec<StreamId>, _> = page.items.unwrap_or_default().iter().map(stream_of).collect();
        let mut streams = streams?;
        // Commits of one stream are adjacent.
        streams.dedup();
        let cursor = |key: &Item| {
            let version = Version::new(number_of(key, VERSION).unwrap_or_default());
            Ok::<_, StoreError>(ScanCursor::Commits { stream: stream_of(key)?, version })
        };
        let next = page.last_evaluated_key.as_ref().map(cursor).transpose()?;
        Ok(StreamsPage { streams, lost: Vec::new(), next })
    }

    /// Returns those of the streams that have no first commit. Strongly consistent; costs one read unit per
    /// 4 KB of each first commit.
    ///
    /// # Errors
    /// [`StoreError`] of the read.
    pub(crate) async fn without_commits(&self, streams: Vec<StreamId>) -> Result<Vec<StreamId>, StoreError> {
        let keys = streams.iter().map(|stream| key_of(stream, Version::FIRST)).collect();
        let first_commits = self.dynamo().get_items(self.table(), keys, Consistency::Strong).await?;
        let existing: BTreeSet<StreamId> = first_commits.iter().map(stream_of).collect::<Result<_, _>>()?;
        Ok(streams.into_iter().filter(|stream| !existing.contains(stream)).collect())
    }
}

/// Returns the key of a commit's item.
pub(crate) fn key_of(stream: &StreamId, version: Version) -> Item {
    Item::from([(STREAM.to_owned(), text(stream.as_str())), (VERSION.to_owned(), number(version))])
}

fn stream_of(item: &Item) -> Result<StreamId, StoreError> {
    StreamId::try_from(text_of(item, STREAM).unwrap_or_default().to_owned()).map_err(StoreError::bug)
}
