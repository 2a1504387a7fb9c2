//! Reads the rows of an index over views: half a read unit per 4 KB, newest first, a page at a time.

use cqrs::Projection;
use serde::de::DeserializeOwned;
use serde_dynamo::from_item;

use crate::{
    StoreError, Views,
    item::{Item, text},
};

/// An index over the views of a projection, by two text attributes.
#[derive(Clone, Copy, Debug)]
pub struct ViewIndex {
    /// What it is called.
    pub name: &'static str,
    /// The attribute that the rows of one list have in common.
    pub partition: &'static str,
    /// The attribute by which they are sorted.
    pub sort: &'static str,
}

/// A row of an index, by what it is sorted by and the key of its view.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexPosition {
    /// The value of the sort attribute.
    pub sort: String,
    /// The key of the view.
    pub key: String,
}

/// Some rows of a list.
#[derive(Debug)]
pub struct IndexPage<R> {
    /// The rows, newest first.
    pub rows: Vec<R>,
    /// Where the list goes on: after this row. `None` at its end.
    pub more_after: Option<IndexPosition>,
}

impl<P: Projection> Views<P> {
    /// At most `limit` rows of the list `partition`, after the row `after` or from the newest on; as of a moment ago.
    ///
    /// # Errors
    /// [`StoreError`] of the read; [`StoreError::Bug`] if a row is not as `R` wants it.
    pub async fn list<R: DeserializeOwned>(
        &self,
        index: ViewIndex,
        partition: &str,
        after: Option<&IndexPosition>,
        limit: i32,
    ) -> Result<IndexPage<R>, StoreError> {
        let start = after.map(|position| {
            Item::from([
                (index.partition.to_owned(), text(partition)),
                (index.sort.to_owned(), text(&position.sort)),
                (P::KEY.to_owned(), text(&position.key)),
            ])
        });
        let page = self
            .dynamo()
            .client
            .query()
            .table_name(self.table())
            .index_name(index.name)
            .scan_index_forward(false)
            .key_condition_expression("#partition = :partition")
            .expression_attribute_names("#partition", index.partition)
            .expression_attribute_values(":partition", text(partition))
            .set_exclusive_start_key(start)
            .limit(limit)
            .customize()
            .config_override(self.dynamo().call_config()?)
            .send()
            .await
            .map_err(StoreError::from_read)?;
        let rows = page.items.unwrap_or_default().into_iter().map(from_item).collect::<Result<_, _>>();
        let attribute = |item: &Item, name: &str| item.get(name)?.as_s().ok().cloned();
        let more_after = page.last_evaluated_key.and_then(|last| {
            Some(IndexPosition { sort: attribute(&last, index.sort)?, key: attribute(&last, P::KEY)? })
        });
        Ok(IndexPage { rows: rows.map_err(StoreError::bug)?, more_after })
    }
}
