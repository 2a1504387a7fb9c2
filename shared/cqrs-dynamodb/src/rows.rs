//! Rows: a table of lists, with several items per view.
//!
//! | attribute | value |
//! |---|---|
//! | `partition` (partition key) | [`RowKey::partition`]: the list |
//! | `sort` (sort key) | [`RowKey::sort`], `#`, and the key of the stream, in which `%25` stands for `%` and `%23` for `#` |
//! | the projection's key | the key of the stream |
//! | the row's own fields | at top level |
//!
//! The key of the stream has no `#` in the sort key, so two streams never have the same row. A row has no version, so
//! that a new version of the view alone rewrites no row.

use std::{marker::PhantomData, sync::Arc};

use cqrs::{
    Projection, RowKey, Rows,
    rows::{SerializedRow, SerializedRows},
};
use serde_dynamo::{from_item, to_item};

use crate::{
    Dynamo, StoreError,
    item::{Item, text, text_of},
};

pub(crate) const PARTITION: &str = "partition";
pub(crate) const SORT: &str = "sort";

/// Reads one table of rows.
pub struct RowsTable<R> {
    dynamo: Dynamo,
    table: Arc<str>,
    rows: PhantomData<fn() -> R>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsPage<R> {
    pub rows: Vec<R>,
    /// The position after which the next page begins, or `None` at the end of the list. It contains the sort key of a
    /// row, so a cursor for a client should not contain more than the client may see.
    pub next: Option<String>,
}

impl<R: Rows> RowsTable<R> {
    pub fn new(dynamo: Dynamo, table: impl Into<Arc<str>>) -> Self {
        Self { dynamo, table: table.into(), rows: PhantomData }
    }

    /// Reads at most `limit` rows of the list `partition`, after the position `after` or from its beginning, sorted by
    /// the sort key: ascending, or descending with `newest_first`. Eventually consistent; costs half a read unit per
    /// 4 KB.
    ///
    /// # Errors
    /// [`StoreError`] of the read; [`StoreError::Bug`] if a row does not deserialize.
    pub async fn list(
        &self,
        partition: &str,
        after: Option<&str>,
        limit: i32,
        newest_first: bool,
    ) -> Result<RowsPage<R::Row>, StoreError> {
        let query = self
            .dynamo
            .client
            .query()
            .table_name(&*self.table)
            .scan_index_forward(!newest_first)
            .key_condition_expression("#partition = :partition")
            .expression_attribute_names("#partition", PARTITION)
            .expression_attribute_values(":partition", text(partition))
            .set_exclusive_start_key(after.map(|sort| key(partition, sort)))
            .limit(limit);
        let page = self.dynamo.read(query).await?;
        let rows = page.items.unwrap_or_default().into_iter().map(|mut item| {
            item.retain(|name, _| ![PARTITION, SORT].contains(&name.as_str()));
            from_item(item)
        });
        let next = page.last_evaluated_key.and_then(|last| Some(text_of(&last, SORT)?.to_owned()));
        Ok(RowsPage { rows: rows.collect::<Result<_, _>>().map_err(StoreError::bug)?, next })
    }
}

/// Returns the key of a row of the stream `stream_key`.
pub(crate) fn item_key(row_key: &RowKey, stream_key: &str) -> Item {
    let stream_key = stream_key.replace('%', "%25").replace('#', "%23");
    key(&row_key.partition, &format!("{}#{stream_key}", row_key.sort))
}

/// Returns partition and sort key of an item.
pub(crate) fn position(item: &Item) -> (Option<&str>, Option<&str>) {
    (text_of(item, PARTITION), text_of(item, SORT))
}

/// Encodes a row of the stream `stream_key`.
///
/// # Errors
/// [`StoreError::Bug`] if DynamoDB has no type for a value.
pub(crate) fn encode<P: Projection>(
    row_key: &RowKey,
    row: &SerializedRow,
    stream_key: &str,
) -> Result<Item, StoreError> {
    let mut item: Item = to_item(row).map_err(StoreError::bug)?;
    item.insert(P::KEY.to_owned(), text(stream_key));
    item.extend(item_key(row_key, stream_key));
    Ok(item)
}

/// Returns whether a row has a field that would be overwritten by the key of the table.
pub(crate) fn have_key_fields(rows: &SerializedRows) -> bool {
    rows.values().any(|row| row.has_field(PARTITION) || row.has_field(SORT))
}

fn key(partition: &str, sort: &str) -> Item {
    Item::from([(PARTITION.to_owned(), text(partition)), (SORT.to_owned(), text(sort))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_never_share_a_row() {
        let sort = |sort: &str, stream: &str| item_key(&RowKey::new("BOOK-1", sort), stream).remove(SORT).unwrap();
        assert_eq!(sort("2026-11-22", "42"), text("2026-11-22#42"));
        assert_ne!(sort("a#b", "c"), sort("a", "b#c"));
        assert_ne!(sort("a", "b%23c"), sort("a", "b#c"));
    }
}
