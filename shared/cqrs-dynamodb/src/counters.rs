//! The counters of one rollup: one table, each row kept in several shards so that writers do not wait for each other.
//!
//! | attribute | |
//! |---|---|
//! | `shard` (partition key) | `0` … one less than the number of shards |
//! | `row` (sort key) | such as `totals`, `day#2026-11-22` |
//! | a column each | the shard's part of the sum, a number |
//!
//! A sum is the sum over its shards. Their number may grow, never shrink.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_dynamodb::types::{Get, TransactGetItem, Update};
use cqrs::Counters;

use crate::{
    Dynamo, StoreError,
    item::{Item, add_number, number, text},
};

const SHARD: &str = "shard";
const ROW: &str = "row";
/// How many shards there are: as many transactions on one row at once as do not conflict, at best.
const SHARDS: u64 = 4;
/// How often one row is read while projectors are writing it.
const TRIES: u32 = 8;

/// Keeps the counters of one rollup.
#[derive(Clone, Debug)]
pub struct CountersTable {
    dynamo: Dynamo,
    table: Arc<str>,
}

impl CountersTable {
    /// The counters in `table`.
    pub fn new(dynamo: Dynamo, table: impl Into<Arc<str>>) -> Self {
        Self { dynamo, table: table.into() }
    }

    /// One row over all shards, as of one instant: two read units a shard.
    ///
    /// A read that meets a projector's transaction on the row is cancelled by DynamoDB, and sent again.
    ///
    /// # Errors
    /// [`StoreError`] of the read.
    pub async fn row(&self, row: &str) -> Result<Counters, StoreError> {
        for attempt in 1..TRIES {
            match self.row_at_once(row).await {
                Err(StoreError::Unavailable(_)) => self.dynamo.back_off(attempt).await,
                read => return read,
            }
        }
        self.row_at_once(row).await
    }

    async fn row_at_once(&self, row: &str) -> Result<Counters, StoreError> {
        let gets = (0..SHARDS).map(|shard| {
            let get = Get::builder().table_name(&*self.table).set_key(Some(key(shard, row))).build()?;
            Ok(TransactGetItem::builder().get(get).build())
        });
        let gets: Result<Vec<_>, aws_sdk_dynamodb::error::BuildError> = gets.collect();
        let answer = self
            .dynamo
            .client
            .transact_get_items()
            .set_transact_items(Some(gets.map_err(StoreError::bug)?))
            .customize()
            .config_override(self.dynamo.call_config()?)
            .send()
            .await
            .map_err(StoreError::from_read)?;
        let mut counters = Counters::default();
        for item in answer.responses.into_iter().flatten().filter_map(|response| response.item) {
            add_item(&mut counters, &item);
        }
        Ok(counters)
    }

    /// The rows from `first` to `last`, both with, over all shards; each shard as of a moment ago: half a read unit per 4 KB
    /// of a shard.
    ///
    /// # Errors
    /// [`StoreError`] of a read: all rows or none.
    pub async fn rows(&self, first: &str, last: &str) -> Result<Counters, StoreError> {
        let shards = (0..SHARDS).map(|shard| self.rows_of_shard(shard, first, last));
        let mut counters = Counters::default();
        for shard in futures_util::future::try_join_all(shards).await? {
            counters += &shard;
        }
        Ok(counters)
    }

    async fn rows_of_shard(&self, shard: u64, first: &str, last: &str) -> Result<Counters, StoreError> {
        let mut counters = Counters::default();
        let mut from_key = None;
        loop {
            let page = self
                .dynamo
                .client
                .query()
                .table_name(&*self.table)
                .key_condition_expression("#shard = :shard AND #row BETWEEN :first AND :last")
                .expression_attribute_names("#shard", SHARD)
                .expression_attribute_names("#row", ROW)
                .expression_attribute_values(":shard", text(shard.to_string()))
                .expression_attribute_values(":first", text(first))
                .expression_attribute_values(":last", text(last))
                .set_exclusive_start_key(from_key)
                .customize()
                .config_override(self.dynamo.call_config()?)
                .send()
                .await
                .map_err(StoreError::from_read)?;
            page.items.iter().flatten().for_each(|item| add_item(&mut counters, item));
            from_key = page.last_evaluated_key;
            if from_key.is_none() {
                return Ok(counters);
            }
        }
    }

    /// One update a row, all in one shard picked at random, that adds `delta` to the counters.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if an update cannot be built: a defect.
    pub(crate) fn updates(&self, delta: &Counters) -> Result<Vec<Update>, StoreError> {
        let shard = self.dynamo.environment.random_below(SHARDS);
        let update = |(row, columns): (&str, &BTreeMap<String, i128>)| {
            let mut update = Update::builder().table_name(&*self.table).set_key(Some(key(shard, row)));
            let mut terms = Vec::with_capacity(columns.len());
            for (place, (column, amount)) in columns.iter().enumerate() {
                terms.push(format!("#c{place} :a{place}"));
                update = update
                    .expression_attribute_names(format!("#c{place}"), column)
                    .expression_attribute_values(format!(":a{place}"), number(amount));
            }
            update.update_expression(format!("ADD {}", terms.join(", "))).build()
        };
        delta.rows().map(update).collect::<Result<_, _>>().map_err(StoreError::bug)
    }
}

fn key(shard: u64, row: &str) -> Item {
    Item::from([(SHARD.to_owned(), text(shard.to_string())), (ROW.to_owned(), text(row))])
}

fn add_item(counters: &mut Counters, item: &Item) {
    let Some(row) = item.get(ROW).and_then(|row| row.as_s().ok()) else { return };
    for (column, value) in item.iter().filter(|(name, _)| ![SHARD, ROW].contains(&name.as_str())) {
        add_number(counters, row, column, value);
    }
}
