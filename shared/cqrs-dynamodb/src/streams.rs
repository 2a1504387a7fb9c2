//! Goes through all streams there are, page by page, in segments beside each other: for rebuilds and for checks.

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::{StreamId, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    EventStore, StoreError,
    event_store::{RECORDED_AT, STREAM, VERSION},
    item::{Item, number, text},
};

/// How many commits a page reads: little enough to be read within a moment, and enough for a transaction or more.
const PAGE: i32 = 1000;

/// One of several parts of all streams, for workers beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Which one, from 0.
    pub number: u16,
    /// Of how many.
    pub of: u16,
}

/// How far a worker has come in its segment: the last commit it looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanCursor {
    stream: StreamId,
    version: Version,
}

/// Which streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFilter {
    /// All there are.
    All,
    /// Those with a commit that was recorded between these times.
    RecordedBetween(Timestamp, Timestamp),
}

/// Some streams of a segment.
#[derive(Debug)]
pub struct StreamsPage {
    /// Their ids, each once.
    pub streams: Vec<StreamId>,
    /// Where the segment goes on; `None` at its end.
    pub after: Option<ScanCursor>,
}

impl Segment {
    /// All streams, in one part.
    pub const ALL: Self = Self { number: 0, of: 1 };
}

impl EventStore {
    /// The streams of a segment after `after`, as many as are found in a thousand commits, or a megabyte of them; as of a
    /// moment ago: half a read unit per 4 KB of commits, whichever are asked for.
    ///
    /// A stream that begins meanwhile may be missed: the projector sees to it.
    ///
    /// # Errors
    /// [`StoreError`] of the read; [`StoreError::Bug`] if an item is no commit.
    pub async fn streams(
        &self,
        which: StreamFilter,
        segment: Segment,
        after: Option<&ScanCursor>,
    ) -> Result<StreamsPage, StoreError> {
        let (attribute, [from, to]) = match which {
            StreamFilter::All => (VERSION, [number(Version::FIRST), number(Version::FIRST)]),
            // Their texts are ordered as the times are, to the second.
            StreamFilter::RecordedBetween(from, to) => (RECORDED_AT, [from, to].map(|time| text(time.to_string()))),
        };
        let start = after.map(|place| {
            Item::from([(STREAM.to_owned(), text(place.stream.as_str())), (VERSION.to_owned(), number(place.version))])
        });
        let page = self
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
            .set_exclusive_start_key(start)
            .limit(PAGE)
            .customize()
            .config_override(self.dynamo().call_config()?)
            .send()
            .await
            .map_err(StoreError::from_read)?;
        let mut streams: Vec<StreamId> = page.items.unwrap_or_default().iter().map(stream).collect::<Result<_, _>>()?;
        // The commits of a stream stand beside each other.
        streams.dedup();
        let after = page
            .last_evaluated_key
            .as_ref()
            .map(|last| Ok(ScanCursor { stream: stream(last)?, version: version(last) }));
        Ok(StreamsPage { streams, after: after.transpose()? })
    }
}

fn stream(item: &Item) -> Result<StreamId, StoreError> {
    let name = item.get(STREAM).and_then(|name| name.as_s().ok()).cloned().unwrap_or_default();
    StreamId::try_from(name).map_err(StoreError::bug)
}

fn version(item: &Item) -> Version {
    let digits = item.get(VERSION).and_then(|version: &AttributeValue| version.as_n().ok());
    Version::new(digits.and_then(|digits| digits.parse().ok()).unwrap_or_default())
}
