//! Access to the tables and the stream, and checks of the invariants.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::{
    Commit, Counters, Domain, Projection, ReadModel, ReadModels, StreamId, Version,
    identity::hex,
    read_model::{DeclaredTables, TableKind},
};
use cqrs_dynamodb::{InGeneration, Item};
use domains::Domains;
use jiff::Timestamp;
use local::event_source_mapping::record::Record;
use orders::OrderEvent;
use serde_dynamo::from_item;
use serde_json::{Value, json};

use super::System;

/// The tables of counters that tallies add to.
#[derive(Default)]
struct TalliedTables(BTreeSet<&'static str>);

impl ReadModels for TalliedTables {
    fn add<P: Projection>(mut self, model: ReadModel<P>) -> Self {
        self.0.extend(model.tallies().iter().map(|tally| tally.table));
        self
    }
}

/// The active generations of a table of counters, and the counters of all generations, from the items of the table.
pub fn counters_of(items: &[Value]) -> (Vec<String>, BTreeMap<String, Counters>) {
    let mut active = vec!["1".to_owned()];
    let mut counters = BTreeMap::<String, Counters>::new();
    for item in items {
        if item["shard"] == "generations" {
            let generations = [&item["serving"], &item["building"]].into_iter().filter(|number| !number.is_null());
            active = generations.map(Value::to_string).collect();
            continue;
        }
        let (generation, _) = item["shard"].as_str().unwrap().split_once('#').unwrap();
        let counters = counters.entry(generation.to_owned()).or_default();
        let columns = fields(item).filter(|(name, _)| !["shard", "row"].contains(&name.as_str()));
        columns.for_each(|(column, amount)| counters.add(item["row"].as_str().unwrap(), column, number(amount)));
    }
    (active, counters)
}

/// Returns an item as a document, with hexadecimal digits for binary attributes.
pub fn document(mut item: Item) -> Value {
    for value in item.values_mut() {
        if let AttributeValue::B(bytes) = value {
            *value = AttributeValue::S(hex(bytes.as_ref()));
        }
    }
    from_item(item).unwrap()
}

impl System {
    /// All records of the stream, as Lambda delivers them.
    pub async fn stream_records(&self) -> Vec<Record> {
        let streams = self.stack.engine().streams();
        let arn = self.stack.stream_arn("EventsTable").unwrap();
        let description = streams.describe_stream().stream_arn(arn).send().await.unwrap().stream_description.unwrap();
        let mut records = Vec::new();
        for shard in description.shards.unwrap() {
            let iterator = streams.get_shard_iterator().stream_arn(arn).shard_id(shard.shard_id.unwrap());
            let iterator = iterator.shard_iterator_type("TRIM_HORIZON".into()).send().await.unwrap().shard_iterator;
            let page = streams.get_records().set_shard_iterator(iterator).send().await.unwrap();
            records.extend(page.records.unwrap().into_iter().map(Record::from));
        }
        records
    }

    /// Delivers the records to the projector in one batch. Returns its response.
    pub async fn deliver(&self, records: &[Record]) -> Value {
        let event = json!({ "Records": records.iter().map(|record| &record.json).collect::<Vec<_>>() });
        let now = self.stack.app.dynamo.environment.now().as_millisecond();
        self.stack.function("projector").unwrap().invoke(event, now).await.unwrap()
    }

    /// All streams of the event store.
    pub async fn streams(&self) -> BTreeMap<StreamId, Vec<Commit<OrderEvent>>> {
        let events = self.direct.events().unwrap();
        let mut streams = BTreeMap::new();
        for item in self.items(&self.direct.tables.get("events").unwrap()).await {
            let stream = StreamId::try_from(item["stream"].as_str().unwrap().to_owned()).unwrap();
            if !streams.contains_key(&stream) {
                streams.insert(stream.clone(), events.load(&stream).await.unwrap());
            }
        }
        streams
    }

    /// The versions of all views, by order id.
    pub async fn view_versions(&self) -> BTreeMap<String, Version> {
        let version = |item: &Value| Version::new(item["version"].as_u64().unwrap());
        let id = |item: &Value| item["order_id"].as_str().unwrap().to_owned();
        self.items(&self.direct.tables.get("order-summaries").unwrap())
            .await
            .iter()
            .map(|item| (id(item), version(item)))
            .collect()
    }

    /// Checks invariant I8 in all tables of counters without tallies: in every active generation, the counters are the
    /// sum of the contributions of all views, after any delivery.
    ///
    /// Counters change only together with a view. So counters that are read between two equal reads of all views are of
    /// the same instant as the views.
    pub async fn check_counters(&self) {
        let mut views = self.items_of(|kind| matches!(kind, TableKind::Views { .. })).await;
        let shards = loop {
            let shards = self.items_of(|kind| *kind == TableKind::Counters).await;
            let again = self.items_of(|kind| matches!(kind, TableKind::Views { .. })).await;
            if again == views {
                break shards;
            }
            views = again;
        };
        let tallied = Domains::read_models(TalliedTables::default()).0;
        for (table, shards) in shards.into_iter().filter(|(table, _)| !tallied.contains(table)) {
            let (generations, counters) = counters_of(&shards);
            for generation in generations {
                let mut contributions = Counters::default();
                for view in views.values().flatten() {
                    for (row, columns) in fields(&view["contribution"][table][&generation]) {
                        fields(columns).for_each(|(column, amount)| contributions.add(row, column, number(amount)));
                    }
                }
                let counters = counters.get(&generation).cloned().unwrap_or_default();
                assert_eq!(counters, contributions, "{table}, generation {generation}");
            }
        }
    }

    /// The items of the declared tables of these kinds, by declared name.
    async fn items_of(&self, kinds: impl Fn(&TableKind) -> bool) -> BTreeMap<&'static str, Vec<Value>> {
        let mut items = BTreeMap::new();
        for (name, kind) in Domains::read_models(DeclaredTables::default()).check().unwrap() {
            if kinds(&kind) {
                items.insert(name, self.items(&self.direct.tables.get(name).unwrap()).await);
            }
        }
        items
    }

    async fn items(&self, table: &str) -> Vec<Value> {
        let scan = self.direct.dynamo.client.scan().table_name(table).consistent_read(true);
        let items: Result<Vec<_>, _> = scan.into_paginator().items().send().collect().await;
        items.unwrap().into_iter().map(document).collect()
    }

    /// Removes all items of the dashboard's table.
    pub async fn delete_counters(&self) {
        let table = self.direct.tables.get("dashboard").unwrap();
        for item in self.items(&table).await {
            let mut delete = self.direct.dynamo.client.delete_item().table_name(&*table);
            for name in ["shard", "row"] {
                delete = delete.key(name, AttributeValue::S(item[name].as_str().unwrap().to_owned()));
            }
            delete.send().await.unwrap();
        }
    }

    /// Checks invariant I6 for all projections: every view is the fold of its stream, and the counters are the sum over
    /// the folds.
    pub async fn check_read_models(&self) {
        self.check_counters().await;
        let commits = self.items(&self.direct.tables.get("events").unwrap()).await;
        let stream = |commit: &Value| StreamId::try_from(commit["stream"].as_str().unwrap().to_owned()).unwrap();
        let streams: BTreeSet<StreamId> = commits.iter().map(stream).collect();
        let streams: Vec<StreamId> = streams.into_iter().collect();
        let projector = self.direct.projector::<Domains>().unwrap();
        let (mut verified_views, mut added) = (0, BTreeMap::<InGeneration, Counters>::new());
        let verified = projector.verify(&streams, Timestamp::MAX).await.unwrap();
        assert_eq!(verified.streams.corrupt, BTreeMap::new());
        for (projection, verified) in verified.views {
            assert_eq!(verified.defective, BTreeMap::new(), "{projection}");
            assert_eq!((verified.behind, verified.parked), (BTreeMap::new(), 0), "{projection}");
            verified.counters.iter().for_each(|(table, sum)| *added.entry(table.clone()).or_default() += sum);
            verified_views += verified.views;
        }
        for (table, counters) in projector.counters().await.unwrap() {
            assert_eq!(counters, added.remove(&table).unwrap_or_default(), "{table}");
        }
        let views = self.items_of(|kind| matches!(kind, TableKind::Views { .. })).await;
        assert_eq!(views.values().map(Vec::len).sum::<usize>(), verified_views, "a view has no stream");
    }

    /// Overwrites an attribute of an order's view without the checks of the store.
    pub async fn overwrite_attribute(&self, order_id: &str, attribute: &str, value: AttributeValue) {
        let app = &self.direct;
        let update = app.dynamo.client.update_item().table_name(&*app.tables.get("order-summaries").unwrap());
        let update = update.key("order_id", AttributeValue::S(order_id.to_owned()));
        let update = update.update_expression("SET #a = :v").expression_attribute_names("#a", attribute);
        update.expression_attribute_values(":v", value).send().await.unwrap();
    }

    /// Removes an attribute of an order's view without the checks of the store. Returns its value.
    pub async fn remove_attribute(&self, order_id: &str, attribute: &str) -> AttributeValue {
        let app = &self.direct;
        let update = app.dynamo.client.update_item().table_name(&*app.tables.get("order-summaries").unwrap());
        let update = update.key("order_id", AttributeValue::S(order_id.to_owned())).return_values("ALL_OLD".into());
        let update = update.update_expression("REMOVE #a").expression_attribute_names("#a", attribute);
        update.send().await.unwrap().attributes.unwrap().remove(attribute).unwrap()
    }

    /// Gives an order's view an older schema version and another total.
    pub async fn make_stale(&self, order_id: &str) {
        for (attribute, value) in [("schema", "0"), ("total", "1")] {
            self.overwrite_attribute(order_id, attribute, AttributeValue::N(value.to_owned())).await;
        }
    }
}

fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn number(attribute: &Value) -> i128 {
    attribute.as_i64().unwrap().into()
}
