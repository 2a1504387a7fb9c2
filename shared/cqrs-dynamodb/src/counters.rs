//! Counters: one table for any number of rollups, each row split into shards so that concurrent writers do not collide.
//!
//! | attribute | value |
//! |---|---|
//! | `shard` (partition key) | the [generation](crate::generations), `#`, and the number of the shard, from 0 |
//! | `row` (sort key) | the row, such as `totals` |
//! | one attribute per column | this shard's part of the counter, a number |
//!
//! A counter is the sum over its shards in the served generation. The number of shards may grow but never shrink.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_dynamodb::types::{Get, TransactGetItem, Update};
use cqrs::Counters;

use crate::{
    Dynamo, Generation, StoreError,
    item::{Item, add_number, number, text, text_of},
};

const SHARD: &str = "shard";
const ROW: &str = "row";
/// The number of shards, and the maximum number of concurrent transactions on one row without a conflict.
const SHARDS: u64 = 4;
/// The number of attempts to read one row while projectors write it.
const ATTEMPTS: u32 = 8;

/// Reads and updates one table of counters.
#[derive(Clone, Debug)]
pub struct CountersTable {
    dynamo: Dynamo,
    table: Arc<str>,
}

impl CountersTable {
    pub fn new(dynamo: Dynamo, table: impl Into<Arc<str>>) -> Self {
        Self { dynamo, table: table.into() }
    }

    pub(crate) fn dynamo(&self) -> &Dynamo {
        &self.dynamo
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Reads a consistent snapshot of one row over all shards of the served generation. Costs two read units per shard,
    /// and the read of [`generations`](Self::generations) at most once in five seconds.
    ///
    /// DynamoDB cancels the read if it conflicts with a projector's transaction on the row; the read is then retried.
    ///
    /// # Errors
    /// [`StoreError`] of the read.
    pub async fn row(&self, row: &str) -> Result<Counters, StoreError> {
        let serving = self.generations().await?.serving;
        let mut snapshot = self.snapshot(&[serving], row).await?;
        Ok(snapshot.remove(&serving).unwrap_or_default())
    }

    /// Reads a consistent snapshot of one row in several generations, like [`row`](Self::row).
    ///
    /// # Errors
    /// [`StoreError`] of the read.
    pub async fn snapshot(
        &self,
        generations: &[Generation],
        row: &str,
    ) -> Result<BTreeMap<Generation, Counters>, StoreError> {
        for attempt in 1..ATTEMPTS {
            match self.try_snapshot(generations, row).await {
                // Without time for another call, the wait would only delay the response.
                Err(StoreError::Unavailable(_)) if self.dynamo.has_time_left() => self.dynamo.back_off(attempt).await,
                read => return read,
            }
        }
        self.try_snapshot(generations, row).await
    }

    async fn try_snapshot(
        &self,
        generations: &[Generation],
        row: &str,
    ) -> Result<BTreeMap<Generation, Counters>, StoreError> {
        let shards = || generations.iter().flat_map(|generation| (0..SHARDS).map(move |shard| (*generation, shard)));
        let gets = shards().map(|(generation, shard)| {
            let key = key(&partition(generation, shard), row);
            let get = Get::builder().table_name(&*self.table).set_key(Some(key)).build()?;
            Ok(TransactGetItem::builder().get(get).build())
        });
        let gets: Result<Vec<_>, aws_sdk_dynamodb::error::BuildError> = gets.collect();
        let gets = gets.map_err(StoreError::bug)?;
        let transaction = self.dynamo.client.transact_get_items().set_transact_items(Some(gets));
        let responses = self.dynamo.read(transaction).await?.responses.unwrap_or_default();
        let mut snapshot: BTreeMap<Generation, Counters> = BTreeMap::new();
        // DynamoDB returns one response per get, in their order.
        for ((generation, _), response) in shards().zip(&responses) {
            let counters = snapshot.entry(generation).or_default();
            response.item().into_iter().for_each(|item| add_item(counters, item));
        }
        Ok(snapshot)
    }

    /// Reads the rows from `first` to `last`, both inclusive, over all shards of the served generation. Eventually
    /// consistent per shard; costs half a read unit per 4 KB of a shard.
    ///
    /// # Errors
    /// [`StoreError`] of a read: all rows or none.
    pub async fn rows(&self, first: &str, last: &str) -> Result<Counters, StoreError> {
        self.rows_of(self.generations().await?.serving, first, last).await
    }

    async fn rows_of(&self, generation: Generation, first: &str, last: &str) -> Result<Counters, StoreError> {
        let shards = (0..SHARDS).map(|shard| self.rows_of_shard(partition(generation, shard), first, last));
        let mut counters = Counters::default();
        for shard in futures_util::future::try_join_all(shards).await? {
            counters += &shard;
        }
        Ok(counters)
    }

    /// Reads all rows of one generation, like [`rows`](Self::rows).
    ///
    /// # Errors
    /// [`StoreError`] of a read: all rows or none.
    pub async fn all_rows(&self, generation: Generation) -> Result<Counters, StoreError> {
        // Row names consist of visible ASCII characters, so this range holds all rows.
        self.rows_of(generation, " ", "~").await
    }

    async fn rows_of_shard(&self, shard: String, first: &str, last: &str) -> Result<Counters, StoreError> {
        let query = self
            .dynamo
            .client
            .query()
            .table_name(&*self.table)
            .key_condition_expression("#shard = :shard AND #row BETWEEN :first AND :last")
            .expression_attribute_names("#shard", SHARD)
            .expression_attribute_names("#row", ROW)
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":first", text(first))
            .expression_attribute_values(":last", text(last));
        let mut counters = Counters::default();
        self.dynamo.query_all(query).await?.iter().for_each(|item| add_item(&mut counters, item));
        Ok(counters)
    }

    /// Builds one update per row that adds `delta` to a generation, all on one random shard.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if an update cannot be built.
    pub(crate) fn updates(&self, generation: Generation, delta: &Counters) -> Result<Vec<Update>, StoreError> {
        let shard = partition(generation, self.dynamo.environment.random_below(SHARDS));
        let update = |(row, columns): (&str, &BTreeMap<String, i128>)| {
            let mut update = Update::builder().table_name(&*self.table).set_key(Some(key(&shard, row)));
            let mut terms = Vec::with_capacity(columns.len());
            for (position, (column, amount)) in columns.iter().enumerate() {
                terms.push(format!("#c{position} :a{position}"));
                update = update
                    .expression_attribute_names(format!("#c{position}"), column)
                    .expression_attribute_values(format!(":a{position}"), number(amount));
            }
            update.update_expression(format!("ADD {}", terms.join(", "))).build()
        };
        delta.rows().map(update).collect::<Result<_, _>>().map_err(StoreError::bug)
    }
}

pub(crate) fn key(shard: &str, row: &str) -> Item {
    Item::from([(SHARD.to_owned(), text(shard)), (ROW.to_owned(), text(row))])
}

/// Returns the partition key of a shard.
fn partition(generation: Generation, shard: u64) -> String {
    format!("{generation}#{shard}")
}

fn add_item(counters: &mut Counters, item: &Item) {
    let Some(row) = text_of(item, ROW) else { return };
    for (column, value) in item.iter().filter(|(name, _)| ![SHARD, ROW].contains(&name.as_str())) {
        add_number(counters, row, column, value);
    }
}
