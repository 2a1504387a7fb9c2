//! Lists of views: pages of a global secondary index, newest first.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::{Index, Projection, Version};
use serde::de::DeserializeOwned;
use serde_dynamo::{from_item, to_item};

use crate::{
    StoreError, Views,
    item::{Item, number_of, text, text_of},
    parked::PARKED_IN,
    views::VERSION,
};

/// The position of a view in a list: the values of the sort fields, then the key of the view. Positions compare like
/// the rows of the list.
pub type IndexPosition = Vec<String>;

/// A row of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexRow<R> {
    pub row: R,
    /// The key of the view.
    pub key: String,
    pub position: IndexPosition,
    /// The last folded commit.
    pub version: Version,
    /// The stream has a later commit that cannot be folded.
    pub behind: bool,
}

/// A page of a list.
#[derive(Debug)]
pub struct IndexPage<R> {
    /// Newest first.
    pub rows: Vec<IndexRow<R>>,
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
        index: &Index,
        partition: &[&str],
        after: Option<&IndexPosition>,
        limit: i32,
    ) -> Result<IndexPage<R>, StoreError> {
        if partition.len() != index.partition.len() {
            let (index, expected) = (index.name, index.partition.len());
            return Err(StoreError::bug(format!("a list of the index {index} needs {expected} partition values")));
        }
        let partition: Vec<_> = index.partition.iter().zip(partition).collect();
        let start = after.map(|after| {
            let position = sort_fields::<P>(index).zip(after).map(|(name, value)| (name.to_owned(), text(value)));
            partition.iter().map(|(name, value)| ((**name).to_owned(), text(**value))).chain(position).collect::<Item>()
        });
        let numbered = || partition.iter().enumerate();
        let condition: Vec<String> = numbered().map(|(number, _)| format!("#p{number} = :p{number}")).collect();
        let names: HashMap<_, _> =
            numbered().map(|(number, (name, _))| (format!("#p{number}"), (**name).to_owned())).collect();
        let values: HashMap<String, AttributeValue> =
            numbered().map(|(number, (_, value))| (format!(":p{number}"), text(**value))).collect();
        let query = self
            .dynamo()
            .client
            .query()
            .table_name(self.table())
            .index_name(index.name)
            .scan_index_forward(false)
            .key_condition_expression(condition.join(" AND "))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .set_exclusive_start_key(start)
            .limit(limit);
        let page = self.dynamo().read(query).await?;
        let rows = page.items.unwrap_or_default().into_iter().map(|item| row::<P, R>(index, item));
        Ok(IndexPage {
            rows: rows.collect::<Result<_, _>>()?,
            next: page.last_evaluated_key.map(|last| position::<P>(index, &last)),
        })
    }
}

/// Returns the row of a view that is not read from the index, or `None` if the view is not in the list `partition`.
///
/// # Errors
/// [`StoreError::Bug`] if the view does not serialize as an object.
pub fn row_of<P: Projection, R: From<P::View>>(
    index: &Index,
    partition: &[&str],
    view: P::View,
    version: Version,
    behind: bool,
) -> Result<Option<IndexRow<R>>, StoreError> {
    let item: Item = to_item(&view).map_err(StoreError::bug)?;
    let is_listed = index.partition.iter().zip(partition).all(|(name, value)| text_of(&item, name) == Some(value));
    let position = position::<P>(index, &item);
    let key = position.last().cloned().unwrap_or_default();
    Ok(is_listed.then(|| IndexRow { row: view.into(), key, position, version, behind }))
}

fn row<P: Projection, R: DeserializeOwned>(index: &Index, item: Item) -> Result<IndexRow<R>, StoreError> {
    let position = position::<P>(index, &item);
    let key = position.last().cloned().unwrap_or_default();
    let version = Version::new(number_of(&item, VERSION).unwrap_or_default());
    let behind = item.contains_key(PARKED_IN);
    Ok(IndexRow { row: from_item(item).map_err(StoreError::bug)?, key, position, version, behind })
}

fn position<P: Projection>(index: &Index, item: &Item) -> IndexPosition {
    sort_fields::<P>(index).map(|name| text_of(item, name).unwrap_or_default().to_owned()).collect()
}

fn sort_fields<P: Projection>(index: &Index) -> impl Iterator<Item = &'static str> {
    index.sort.iter().copied().chain([P::KEY])
}
