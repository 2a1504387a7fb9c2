//! The views of one projection: one table with one item per view.
//!
//! | attribute | value |
//! |---|---|
//! | the projection's key (partition key) | the key of the stream, such as `order_id` |
//! | the view's own fields | at top level, as the API returns them; keys of the table's indexes |
//! | `version`, `hash` | the last folded commit and its hash |
//! | `schema` | the schema version of the view |
//! | `contribution`, `counted`, `rows` | what the stream has added to the tables beside the view ([`Bookkeeping`]) |
//! | `instalments` | the number of [instalments](crate::projector) written since the view itself was written |
//! | `parked`, `parked_in` | the parked mark and the projection's name, if the stream is [parked](crate::parked) |
//!
//! A deleted view keeps its item without the view's own fields, so that a late request can compare versions. An item of
//! version 0 has no view yet: its stream is parked at the first commit, or its first view is written in instalments.

use std::{collections::BTreeMap, marker::PhantomData, sync::Arc};

use cqrs::{Position, Projection, Version};
use serde_dynamo::{from_attribute_value, from_item, to_item};

use crate::{
    Dynamo, StoreError,
    bookkeeping::Bookkeeping,
    call::Consistency,
    item::{Item, binary, number, number_of, text, text_of},
    parked::{PARKED, PARKED_IN, Parked},
    revision::Revision,
};

pub(crate) const VERSION: &str = "version";
pub(crate) const HASH: &str = "hash";
pub(crate) const SCHEMA: &str = "schema";
pub(crate) const INSTALMENTS: &str = "instalments";

/// The view table of one projection.
pub struct Views<P> {
    dynamo: Dynamo,
    table: Arc<str>,
    projection: PhantomData<fn() -> P>,
}

/// The stored item of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredView<V> {
    /// The last folded commit.
    pub position: Position,
    /// The schema version of the view.
    pub schema: u32,
    pub content: Content<V>,
    pub bookkeeping: Bookkeeping,
    /// The next view is being written in [instalments](crate::projector), so the bookkeeping is ahead of the view.
    pub(crate) in_instalments: bool,
    /// The parked mark, if the stream is parked.
    pub parked: Option<Parked>,
    pub(crate) revision: Revision,
}

/// The content of a view's item.
#[derive(Clone, Debug, PartialEq)]
pub enum Content<V> {
    Current(V),
    /// The stream folds to no view.
    Deleted,
    /// The item has another schema version, or is damaged. The view must be folded anew from the stream's first commit.
    Stale,
}

impl<P: Projection> Views<P> {
    pub fn new(dynamo: Dynamo, table: impl Into<Arc<str>>) -> Self {
        Self { dynamo, table: table.into(), projection: PhantomData }
    }

    pub(crate) fn dynamo(&self) -> &Dynamo {
        &self.dynamo
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Reads the view with this key. Eventually consistent; costs half a read unit per 4 KB.
    ///
    /// # Errors
    /// [`StoreError`] of the read.
    pub async fn get(&self, key: &str) -> Result<Option<StoredView<P::View>>, StoreError> {
        let get = self.dynamo.client.get_item().table_name(&*self.table).key(P::KEY, text(key));
        let item = self.dynamo.read(get).await?.item;
        Ok(item.map(decode::<P>))
    }

    /// Reads the views with these keys. Costs one read unit per view of up to 4 KB, or half of it if eventually
    /// consistent. The result omits keys without a view.
    ///
    /// # Errors
    /// [`StoreError`] of a read: all views or none.
    pub async fn get_many(
        &self,
        keys: &[&str],
        consistency: Consistency,
    ) -> Result<BTreeMap<String, StoredView<P::View>>, StoreError> {
        let items = self.items(keys, consistency).await?;
        Ok(items.into_iter().map(|(key, item)| (key, decode::<P>(item))).collect())
    }

    /// Like [`get_many`](Self::get_many), but returns the stored items by key.
    pub(crate) async fn items(
        &self,
        keys: &[&str],
        consistency: Consistency,
    ) -> Result<BTreeMap<String, Item>, StoreError> {
        let keys = keys.iter().map(|key| self::key::<P>(key)).collect();
        let items = self.dynamo.get_items(&self.table, keys, consistency).await?;
        Ok(items.into_iter().map(|item| (text_of(&item, P::KEY).unwrap_or_default().to_owned(), item)).collect())
    }
}

/// Returns the key of a view's item.
pub(crate) fn key<P: Projection>(key: &str) -> Item {
    Item::from([(P::KEY.to_owned(), text(key))])
}

/// Encodes the item of a view at `position`. `view` is `None` for a deleted view.
///
/// # Errors
/// [`StoreError::Bug`] if the view does not serialize as an object, or has a field with a reserved name.
pub(crate) fn encode<P: Projection>(
    key: &str,
    position: Position,
    view: Option<&P::View>,
    bookkeeping: &Bookkeeping,
) -> Result<Item, StoreError> {
    let mut item = match view {
        Some(view) => to_item(view).map_err(StoreError::bug)?,
        None => Item::new(),
    };
    if let Some(reserved) = item.keys().find(|name| is_beside::<P>(name) && *name != P::KEY) {
        return Err(StoreError::bug(format!(
            "the views of {} have a field with the reserved name {reserved}",
            P::NAME
        )));
    }
    item.insert(P::KEY.to_owned(), text(key));
    item.insert(VERSION.to_owned(), number(position.version));
    item.extend(position.hash.map(|hash| (HASH.to_owned(), binary(hash.as_bytes()))));
    item.insert(SCHEMA.to_owned(), number(P::SCHEMA));
    let attributes = bookkeeping.attributes().into_iter();
    item.extend(attributes.filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(item)
}

/// Returns the position of the view in `item`. A damaged hash counts as missing.
pub(crate) fn position(item: &Item) -> Position {
    Position {
        version: Version::new(number_of(item, VERSION).unwrap_or_default()),
        hash: item.get(HASH).and_then(|hash| from_attribute_value(hash.clone()).ok()),
    }
}

/// Decodes the item of a view.
pub(crate) fn decode<P: Projection>(item: Item) -> StoredView<P::View> {
    let position = position(&item);
    let schema = number_of(&item, SCHEMA).unwrap_or_default();
    let bookkeeping = Bookkeeping::of(&item);
    let revision = Revision::of(&item);
    let parked = Parked::in_item(&item);
    let in_instalments = item.contains_key(INSTALMENTS);
    let deleted = item.keys().all(|name| is_beside::<P>(name));
    let content = if schema != P::SCHEMA {
        Content::Stale
    } else if deleted {
        Content::Deleted
    } else {
        from_item(item).map_or(Content::Stale, Content::Current)
    };
    StoredView { position, schema, content, bookkeeping, in_instalments, parked, revision }
}

/// Returns whether the attribute is the key of a view's item or is stored beside the view's own fields.
fn is_beside<P: Projection>(attribute: &str) -> bool {
    let beside = [P::KEY, VERSION, HASH, SCHEMA, INSTALMENTS, PARKED, PARKED_IN];
    beside.iter().chain(&Bookkeeping::ATTRIBUTES).any(|beside| *beside == attribute)
}

#[cfg(test)]
mod tests {
    use cqrs::Recorded;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::sample::SampleEvent;

    struct Labels;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct LabelView {
        rows: Vec<String>,
    }

    impl Projection for Labels {
        type Event = SampleEvent;
        type View = LabelView;

        const NAME: &'static str = "labels";
        const KEY: &'static str = "jar_id";
        const SCHEMA: u32 = 1;

        fn evolve(view: Option<LabelView>, _: Recorded<'_, SampleEvent>) -> Option<LabelView> {
            view
        }
    }

    #[test]
    fn a_view_with_a_reserved_field_is_not_stored() {
        let view = LabelView { rows: vec!["tea".to_owned()] };
        let error = encode::<Labels>("a", Position::START, Some(&view), &Bookkeeping::default()).unwrap_err();
        let StoreError::Bug(cause) = error else { panic!("{error}") };
        assert_eq!(cause.to_string(), "the views of labels have a field with the reserved name rows");
    }
}
