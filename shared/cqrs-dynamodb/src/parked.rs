//! Parked streams: those that one projection cannot fold, or whose view it cannot store. Each waits alone.
//!
//! The view stays as it was before the commit that stopped it, and its item says so. Later commits wait in the write
//! table, until the code or the data is mended and the stream is redriven.

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::{Projection, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_dynamo::{from_attribute_value, to_attribute_value};

use crate::{
    StoreError, Views,
    item::{Item, text},
};

/// Where a view's item tells why it stands still.
pub(crate) const PARKED: &str = "parked";
/// By which a table's index finds them: the name of the projection, on the items of parked streams alone.
pub(crate) const PARKED_IN: &str = "parked_in";
/// The index of a view table whose partition key is `parked_in`, and its sort key the projection's key.
pub const INDEX: &str = "parked";

/// Why a view stands still.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// The commit that could not be folded: the view is at the one before it, or at an earlier one.
    pub version: Version,
    /// Why, without its data.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when.
    pub since: Timestamp,
    /// The schema of the code that could not fold it; code of a later schema tries by itself.
    pub schema: u32,
}

/// A stream that waits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParkedView {
    /// The key of its view, and of the stream.
    pub key: String,
    /// Why it waits.
    #[serde(flatten)]
    pub parked: Parked,
}

impl Parked {
    /// What stopped the fold, at `version`; after what stopped it `before`.
    pub(crate) fn of(
        failure: &StoreError,
        version: Version,
        before: Option<&Self>,
        schema: u32,
        now: Timestamp,
    ) -> Self {
        let (version, reason) = match failure {
            StoreError::Corrupt { version, reason, .. } => (*version, reason.clone()),
            // What the tables say of an item may repeat what is in it.
            _ => (version, "the view cannot be stored".to_owned()),
        };
        let attempts = before.map_or(0, |before| before.attempts).saturating_add(1);
        Self { version, reason, attempts, since: before.map_or(now, |before| before.since), schema }
    }

    /// Whether code of this schema leaves the stream alone: it is what could not fold it.
    pub(crate) fn holds_back(&self, schema: u32) -> bool {
        self.schema == schema
    }

    /// What an item says, if its stream is parked.
    pub(crate) fn in_item(item: &Item) -> Option<Self> {
        from_attribute_value(item.get(PARKED)?.clone()).ok()
    }

    /// The form in which an item says it.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if it cannot be serialised: a defect of this type.
    pub(crate) fn to_attribute(&self) -> Result<AttributeValue, StoreError> {
        to_attribute_value(self).map_err(StoreError::bug)
    }
}

impl<P: Projection> Views<P> {
    /// All parked streams of this projection, by their keys; as of a moment ago: half a read unit per 4 KB.
    ///
    /// # Errors
    /// [`StoreError`] of a read; [`StoreError::Bug`] if an item is not as it must be.
    pub async fn parked(&self) -> Result<Vec<ParkedView>, StoreError> {
        let mut parked = Vec::new();
        let mut from_key = None;
        loop {
            let page = self
                .dynamo()
                .client
                .query()
                .table_name(self.table())
                .index_name(INDEX)
                .key_condition_expression("#parked_in = :projection")
                .expression_attribute_names("#parked_in", PARKED_IN)
                .expression_attribute_values(":projection", text(P::NAME))
                .set_exclusive_start_key(from_key)
                .customize()
                .config_override(self.dynamo().call_config()?)
                .send()
                .await
                .map_err(StoreError::from_read)?;
            for item in page.items.unwrap_or_default() {
                let key = item.get(P::KEY).and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
                parked.extend(Parked::in_item(&item).map(|parked| ParkedView { key, parked }));
            }
            from_key = page.last_evaluated_key;
            if from_key.is_none() {
                return Ok(parked);
            }
        }
    }
}
