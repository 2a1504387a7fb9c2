//! The tables of counters and rows, and the check that they are the sum of all additions (invariant I8).

use std::collections::{BTreeMap, BTreeSet};

use cqrs::{Counters, RowKey, Tally, Version};
use cqrs_dynamodb::{Generation, InGeneration, StoredView, views::Content};
use serde_json::Value;

use super::{
    Jars,
    jar::{JarEvent, JarLevel},
    jar_beside::{Fillings, WordsWritten},
};
use crate::harness::tables::{counters_of, document};

/// The keys of all rows, as partition and sort key.
type Labels = BTreeSet<(String, String)>;

impl Jars {
    pub(super) async fn items(&self, table: &str) -> Vec<Value> {
        let scan = self.dynamo.client.scan().table_name(self.table(table)).consistent_read(true);
        let items: Result<Vec<_>, _> = scan.into_paginator().items().send().collect().await;
        items.unwrap().into_iter().map(document).collect()
    }

    /// The stored levels, by jar.
    pub(super) async fn stored_levels<const SCHEMA: u32>(&self) -> BTreeMap<String, StoredView<JarLevel>> {
        let items = self.items("levels").await;
        let keys: Vec<&str> = items.iter().map(|item| item["jar"].as_str().unwrap()).collect();
        self.levels::<SCHEMA>().get_many(&keys, cqrs_dynamodb::Consistency::Strong).await.unwrap()
    }

    pub(super) async fn level<const SCHEMA: u32>(&self, key: &str) -> (u64, Content<JarLevel>) {
        let stored = self.levels::<SCHEMA>().get(key).await.unwrap().unwrap();
        (stored.position.version.get(), stored.content)
    }

    /// All counters of a table, in the first generation.
    pub(super) async fn counters(&self, table: &str) -> Counters {
        let (_, mut counters) = counters_of(&self.items(table).await);
        counters.remove("1").unwrap_or_default()
    }

    pub(super) async fn labels(&self) -> Labels {
        let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        self.items("labels").await.iter().map(|item| (text(item, "partition"), text(item, "sort"))).collect()
    }

    /// Checks that every table of counters is the sum of the stored contributions and the counted events, and that the
    /// rows are those that the views' items list. Holds at every instant.
    pub(super) async fn check_tables(&self) {
        let (levels, tables, labels) = self.snapshot().await;
        let (mut expected, mut rows) = (BTreeMap::<String, Counters>::new(), BTreeSet::new());
        for (jar, stored) in levels {
            for (table, contribution) in &stored.bookkeeping.contribution {
                *expected.entry(table.name.clone()).or_default() += contribution;
            }
            let stream = cqrs::StreamId::of::<JarEvent>(&jar);
            for commit in self.events().load::<JarEvent>(&stream).await.unwrap() {
                let is_counted = |tally: &str| {
                    let through = stored
                        .bookkeeping
                        .counted
                        .get(&InGeneration::new(tally, Generation::FIRST))
                        .copied()
                        .unwrap_or(Version::NONE);
                    commit.version <= through
                };
                for recorded in commit.recorded().filter(|_| is_counted("fillings")) {
                    *expected.entry("inventory".to_owned()).or_default() += &Fillings::<1>::count(recorded);
                }
                for recorded in commit.recorded().filter(|_| is_counted("words-written")) {
                    *expected.entry("words-written".to_owned()).or_default() += &WordsWritten::<1>::count(recorded);
                }
            }
            let keys = stored.bookkeeping.rows.values().flat_map(BTreeMap::keys);
            rows.extend(
                keys.map(|RowKey { partition, sort }| {
                    (partition.clone(), format!("{sort}#{}", jar.replace('#', "%23")))
                }),
            );
        }
        for (table, counters) in tables {
            assert_eq!(counters, expected.remove(table).unwrap_or_default(), "{table}");
        }
        assert_eq!(labels, rows);
    }

    /// Reads the levels, the tables of counters, and the keys of the rows, all of one instant.
    ///
    /// A transaction that a dropped future has sent may arrive between two reads if the engine is another process.
    /// Every transaction changes an item of the levels, so the reads are repeated until the levels stay the same.
    async fn snapshot(&self) -> (BTreeMap<String, StoredView<JarLevel>>, Vec<(&'static str, Counters)>, Labels) {
        loop {
            let before = self.items("levels").await;
            let levels = self.stored_levels::<1>().await;
            let mut tables = Vec::new();
            for table in ["inventory", "words", "words-written"] {
                tables.push((table, self.counters(table).await));
            }
            let labels = self.labels().await;
            if self.items("levels").await == before {
                return (levels, tables, labels);
            }
        }
    }
}
