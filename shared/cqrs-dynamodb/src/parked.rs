//! Parked streams: streams that one projection cannot fold, or whose view it cannot store.
//!
//! The view stays at the commit before the one that failed, and its item has the parked mark. Later commits are not
//! folded until an operator fixes the code or the data and redrives the stream, or code of another schema version
//! retries it. Other streams are not affected.

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::{Projection, StreamId, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_dynamo::{from_attribute_value, to_attribute_value};

use crate::{
    StoreError, Views,
    item::{Item, text, text_of},
};

/// The attribute with the parked mark.
pub(crate) const PARKED: &str = "parked";
/// The partition key of the sparse index [`INDEX`]: the projection's name. Only items of parked streams have it.
pub(crate) const PARKED_IN: &str = "parked_in";
/// The index of a view table that lists parked streams: partition key `parked_in`, sort key the projection's key.
pub const INDEX: &str = "parked";

/// The parked mark of a view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// The commit that could not be folded. The view is at an earlier version.
    pub version: Version,
    /// The reason, without any stored data.
    pub reason: String,
    /// The number of failed attempts.
    pub attempts: u32,
    /// The time of the first failed attempt.
    pub since: Timestamp,
    /// The schema version of the code that failed. Code of another schema version retries by itself.
    pub schema: u32,
}

/// A parked stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParkedView {
    pub stream: StreamId,
    #[serde(flatten)]
    pub parked: Parked,
}

impl Parked {
    /// Creates the mark for a fold that `error` stopped at `version`. `previous` is the mark of an earlier attempt.
    pub(crate) fn new(
        error: &StoreError,
        version: Version,
        previous: Option<&Self>,
        schema: u32,
        now: Timestamp,
    ) -> Self {
        let (version, reason) = match error {
            StoreError::Corrupt { version, reason, .. } => (*version, reason.clone()),
            // DynamoDB's message may quote the item's data.
            _ => (version, "the view cannot be stored".to_owned()),
        };
        let attempts = previous.map_or(0, |previous| previous.attempts).saturating_add(1);
        Self { version, reason, attempts, since: previous.map_or(now, |previous| previous.since), schema }
    }

    /// Returns whether code of this schema version skips the stream: the same schema version has failed to fold it.
    pub(crate) fn blocks(&self, schema: u32) -> bool {
        self.schema == schema
    }

    pub(crate) fn in_item(item: &Item) -> Option<Self> {
        from_attribute_value(item.get(PARKED)?.clone()).ok()
    }

    pub(crate) fn to_attribute(&self) -> Result<AttributeValue, StoreError> {
        to_attribute_value(self).map_err(StoreError::bug)
    }
}

impl<P: Projection> Views<P> {
    /// Lists all parked streams of this projection, sorted by key. Eventually consistent; costs half a read unit per
    /// 4 KB.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn parked(&self) -> Result<Vec<ParkedView>, StoreError> {
        let query = self
            .dynamo()
            .client
            .query()
            .table_name(self.table())
            .index_name(INDEX)
            .key_condition_expression("#parked_in = :projection")
            .expression_attribute_names("#parked_in", PARKED_IN)
            .expression_attribute_values(":projection", text(P::NAME));
        let items = self.dynamo().query_all(query).await?;
        let parked = items.iter().filter_map(|item| {
            let stream = StreamId::of::<P::Event>(text_of(item, P::KEY).unwrap_or_default());
            Some(ParkedView { stream, parked: Parked::in_item(item)? })
        });
        Ok(parked.collect())
    }
}
