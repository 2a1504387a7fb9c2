//! Lists of views: pages of a global secondary index, newest first.

use cqrs::Projection;
use serde::de::DeserializeOwned;
use serde_dynamo::from_item;

use crate::{
    StoreError, Views,
    item::{Item, text, text_of},
};

/// A global secondary index over the views of a projection, with two text attributes as its key.
#[derive(Clone, Copy, Debug)]
pub struct ViewIndex {
    pub name: &'static str,
    /// The partition key: all rows of one list share its value.
    pub partition: &'static str,
    /// The sort key.
    pub sort: &'static str,
}

/// The position of a row in an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexPosition {
    /// The value of the sort key.
    pub sort: String,
    /// The key of the view.
    pub key: String,
}

/// A page of a list.
#[derive(Debug)]
pub struct IndexPage<R> {
    /// Newest first.
    pub rows: Vec<R>,
    /// The position after which the next page begins, or `None` at the end of the list.
    pub next: Option<IndexPosition>,
}

impl<P: Projection> Views<P> {
    /// Reads at most `limit` rows of the list `partition`, after the position `after` or from the newest row.
    /// Eventually consistent; costs half a read unit per 4 KB.
    ///
    /// # Errors
    /// [`StoreError`] of the read; [`StoreError::Bug`] if a row does not deserialize as `R`.
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
        let query = self
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
            .limit(limit);
        let page = self.dynamo().read(query).await?;
        let rows = page.items.unwrap_or_default().into_iter().map(from_item).collect::<Result<_, _>>();
        let next = page.last_evaluated_key.and_then(|last| {
            let (sort, key) = (text_of(&last, index.sort)?.to_owned(), text_of(&last, P::KEY)?.to_owned());
            Some(IndexPosition { sort, key })
        });
        Ok(IndexPage { rows: rows.map_err(StoreError::bug)?, next })
    }
}
