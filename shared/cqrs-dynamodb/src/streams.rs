//! A parallel scan over all streams, page by page: for rebuild, sweep and verify.

use cqrs::{StreamId, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    EventStore, StoreError,
    event_store::{RECORDED_AT, STREAM, VERSION},
    item::{Item, number, number_of, text, text_of},
};

/// The maximum number of commits in a page: enough for several transactions.
const PAGE: i32 = 1000;

/// One segment of a parallel scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// From 0.
    pub number: u16,
    /// The number of segments.
    pub of: u16,
}

/// The position of a scan in its segment: the last commit that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanCursor {
    stream: StreamId,
    version: Version,
}

/// Selects the streams of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFilter {
    All,
    /// Streams with a commit that was recorded between two times, both inclusive.
    RecordedBetween(Timestamp, Timestamp),
}

/// A page of streams of one segment.
#[derive(Debug)]
pub struct StreamsPage {
    /// Each stream at most once.
    pub streams: Vec<StreamId>,
    /// The cursor of the next page, or `None` at the end of the segment.
    pub next: Option<ScanCursor>,
}

impl Segment {
    /// A scan with one segment.
    pub const ALL: Self = Self { number: 0, of: 1 };
}

impl EventStore {
    /// Reads the next page of streams after `cursor`: the streams in a thousand commits, or in one megabyte of commits.
    ///
    /// Eventually consistent; costs half a read unit per 4 KB of commits, with any filter. The scan may miss a stream
    /// that begins during the scan; the projector handles such a stream.
    ///
    /// # Errors
    /// [`StoreError`] of the read; [`StoreError::Bug`] if an item is not a commit.
    pub async fn streams(
        &self,
        filter: StreamFilter,
        segment: Segment,
        cursor: Option<&ScanCursor>,
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
            .set_exclusive_start_key(cursor.map(ScanCursor::to_key))
            .limit(PAGE);
        let page = self.dynamo().read(scan).await?;
        let streams: Result<Vec<StreamId>, _> = page.items.unwrap_or_default().iter().map(stream_of).collect();
        let mut streams = streams?;
        // Commits of one stream are adjacent.
        streams.dedup();
        let next = page.last_evaluated_key.as_ref().map(ScanCursor::from_key).transpose()?;
        Ok(StreamsPage { streams, next })
    }
}

impl ScanCursor {
    fn to_key(&self) -> Item {
        Item::from([(STREAM.to_owned(), text(self.stream.as_str())), (VERSION.to_owned(), number(self.version))])
    }

    fn from_key(key: &Item) -> Result<Self, StoreError> {
        Ok(Self { stream: stream_of(key)?, version: Version::new(number_of(key, VERSION).unwrap_or_default()) })
    }
}

fn stream_of(item: &Item) -> Result<StreamId, StoreError> {
    StreamId::try_from(text_of(item, STREAM).unwrap_or_default().to_owned()).map_err(StoreError::bug)
}
