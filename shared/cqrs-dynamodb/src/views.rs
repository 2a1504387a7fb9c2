//! The views of one projection: one table, one item a view.
//!
//! | attribute | |
//! |---|---|
//! | the projection's key (partition key) | the key of the stream, such as `order_id` |
//! | the view's own fields | at top level, as it is answered |
//! | what [`Projection::index`] gives | for the table's indexes |
//! | `version` | the last commit folded in |
//! | `schema` | the schema of the view when it was folded |
//! | `contribution` | what the view adds to the rollup's counters, as of this version |
//! | `parked`, `parked_in` | why the view stands still, if its stream is [parked](crate::parked) |
//!
//! A view that has ended keeps its item, without fields of its own, so that a late commit still finds its version.

use std::{
    collections::{BTreeMap, HashMap},
    marker::PhantomData,
    sync::Arc,
};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use cqrs::{Counters, Projection, Version};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use serde_dynamo::{from_item, to_item};

use crate::{
    Dynamo, StoreError,
    item::{Item, from_counters, number, text, to_counters},
    parked::{PARKED, PARKED_IN, Parked},
};

pub(crate) const VERSION: &str = "version";
pub(crate) const SCHEMA: &str = "schema";
pub(crate) const CONTRIBUTION: &str = "contribution";

/// The most keys of one `BatchGetItem`.
const BATCH: usize = 100;

/// Keeps the views of one projection.
pub struct Views<P> {
    dynamo: Dynamo,
    table: Arc<str>,
    projection: PhantomData<fn() -> P>,
}

/// A view as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredView<V> {
    /// The last commit folded in.
    pub version: Version,
    /// The schema of the view when it was folded.
    pub schema: u32,
    /// The view itself.
    pub content: Content<V>,
    /// What it adds to the counters.
    pub contribution: Counters,
    /// Why it stands still, if its stream is parked.
    pub parked: Option<Parked>,
    /// What its successor must find unchanged.
    pub(crate) revision: Revision,
}

/// The attributes that tell one state of a view's item from every other: version, schema, its contribution, and why
/// it is parked, each as it is stored, or missing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Revision([(&'static str, Option<AttributeValue>); 4]);

/// A condition of a write, with the names and values that it speaks of.
pub(crate) struct Condition {
    pub(crate) expression: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

/// What is stored of a view.
#[derive(Clone, Debug, PartialEq)]
pub enum Content<V> {
    /// The view.
    Current(V),
    /// The stream has folded to no view.
    Deleted,
    /// Nothing that this code can read: of another schema, or damaged. It has to be folded anew.
    Stale,
}

/// A view with the version of the last commit folded into it: the form in which it is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versioned<V> {
    /// The view.
    #[serde(flatten)]
    pub view: V,
    /// The last commit folded in.
    pub version: Version,
    /// Whether the stream has gone on since, to something that could not be folded: the view is right, and behind.
    #[serde(default, alias = "parked_in", deserialize_with = "is_there", skip_serializing_if = "std::ops::Not::not")]
    pub behind: bool,
}

/// Whether an attribute is there, whatever it holds.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<P: Projection> Views<P> {
    /// The views in `table`.
    pub fn new(dynamo: Dynamo, table: impl Into<Arc<str>>) -> Self {
        Self { dynamo, table: table.into(), projection: PhantomData }
    }

    pub(crate) fn dynamo(&self) -> &Dynamo {
        &self.dynamo
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// The view with this key as of a moment ago: half a read unit per 4 KB.
    ///
    /// # Errors
    /// [`StoreError`] of the read.
    pub async fn get(&self, key: &str) -> Result<Option<StoredView<P::View>>, StoreError> {
        let answer = self
            .dynamo
            .client
            .get_item()
            .table_name(&*self.table)
            .key(P::KEY, text(key))
            .customize()
            .config_override(self.dynamo.call_config()?)
            .send()
            .await
            .map_err(StoreError::from_read)?;
        Ok(answer.item.map(|item| decode::<P>(item).1))
    }

    /// The views with these keys, strongly consistent: one read unit per view of 4 KB. Keys without a view are left out.
    ///
    /// # Errors
    /// [`StoreError`] of the reads: all of the views or none.
    pub async fn get_many(&self, keys: &[&str]) -> Result<BTreeMap<String, StoredView<P::View>>, StoreError> {
        Ok(self.items(keys).await?.into_values().map(decode::<P>).collect())
    }

    /// The same, as they are stored.
    pub(crate) async fn items(&self, keys: &[&str]) -> Result<BTreeMap<String, Item>, StoreError> {
        let key = |item: &Item| item.get(P::KEY).and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
        let mut items = BTreeMap::new();
        for keys in keys.chunks(BATCH) {
            let mut pending: Vec<Item> = keys.iter().map(|key| Item::from([(P::KEY.to_owned(), text(*key))])).collect();
            for attempt in 0.. {
                let request = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(pending)).build();
                let answer = self
                    .dynamo
                    .client
                    .batch_get_item()
                    .request_items(&*self.table, request.map_err(StoreError::bug)?)
                    .customize()
                    .config_override(self.dynamo.call_config()?)
                    .send()
                    .await
                    .map_err(StoreError::from_read)?;
                let found = answer.responses.into_iter().flatten().flat_map(|(_, items)| items);
                items.extend(found.map(|item| (key(&item), item)));
                pending = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, rest)| rest.keys).collect();
                if pending.is_empty() {
                    break;
                }
                self.dynamo.back_off(attempt).await;
            }
        }
        Ok(items)
    }
}

impl Revision {
    /// The revision of an item.
    pub(crate) fn of(item: &Item) -> Self {
        Self([VERSION, SCHEMA, CONTRIBUTION, PARKED].map(|name| (name, item.get(name).cloned())))
    }

    /// The condition that the stored item is still as it was; `None` if there was none.
    pub(crate) fn unchanged(revision: Option<&Self>, key: &'static str) -> Condition {
        let Some(Self(attributes)) = revision else {
            let names = HashMap::from([("#key".to_owned(), key.to_owned())]);
            return Condition { expression: "attribute_not_exists(#key)".to_owned(), names, values: HashMap::new() };
        };
        let unchanged = |(name, value): &(&str, Option<AttributeValue>)| match value {
            Some(_) => format!("#{name} = :{name}"),
            None => format!("attribute_not_exists(#{name})"),
        };
        let values = attributes.iter().filter_map(|(name, value)| Some((format!(":{name}"), value.clone()?)));
        Condition {
            expression: attributes.each_ref().map(unchanged).join(" AND "),
            names: attributes.iter().map(|(name, _)| (format!("#{name}"), (*name).to_owned())).collect(),
            values: values.collect(),
        }
    }
}

/// The item of a view that was folded up to `version`; `None` for one that has ended.
///
/// # Errors
/// [`StoreError::Bug`] if the view is not serialised as an object: a defect of its type.
pub(crate) fn encode<P: Projection>(
    key: &str,
    version: Version,
    view: Option<&P::View>,
    contribution: &Counters,
) -> Result<Item, StoreError> {
    let mut item = match view {
        Some(view) => to_item(view).map_err(StoreError::bug)?,
        None => Item::new(),
    };
    let index = view.map(P::index).unwrap_or_default();
    item.extend(index.into_iter().map(|(name, value)| (name.to_owned(), text(value))));
    item.insert(P::KEY.to_owned(), text(key));
    item.insert(VERSION.to_owned(), number(version));
    item.insert(SCHEMA.to_owned(), number(P::SCHEMA));
    if !contribution.is_zero() {
        item.insert(CONTRIBUTION.to_owned(), from_counters(contribution));
    }
    Ok(item)
}

/// The key and the view in an item.
pub(crate) fn decode<P: Projection>(item: Item) -> (String, StoredView<P::View>) {
    fn read<N: std::str::FromStr + Default>(value: Option<&AttributeValue>) -> N {
        value.and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }
    let key = item.get(P::KEY).and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
    let version = Version::new(read(item.get(VERSION)));
    let schema = read(item.get(SCHEMA));
    let contribution = item.get(CONTRIBUTION).map(to_counters).unwrap_or_default();
    let revision = Revision::of(&item);
    let parked = Parked::in_item(&item);
    let beside = [P::KEY, VERSION, SCHEMA, CONTRIBUTION, PARKED, PARKED_IN];
    let ended = item.keys().all(|name| beside.contains(&name.as_str()));
    let content = if schema != P::SCHEMA {
        Content::Stale
    } else if ended {
        Content::Deleted
    } else {
        from_item(item).map_or(Content::Stale, Content::Current)
    };
    (key, StoredView { version, schema, content, contribution, parked, revision })
}
