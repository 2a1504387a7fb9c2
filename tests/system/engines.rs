//! Differences between the engines, one per test. The comment of a test says what AWS does, and its code says what the
//! embedded engine and Amazon DynamoDB Local do. An upgrade that changes a difference fails its test.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, TransactWriteItem, Update};
use aws_sdk_dynamodbstreams::types::Record;
use cqrs_dynamodb::Environment;
use local::Engine;
use serde_json::{Value, json};

use crate::harness::{self, System};

/// The behaviour of each engine.
#[derive(Debug)]
struct EngineDifference<T> {
    embedded: T,
    dynamodb_local: T,
}

impl<T: std::fmt::Debug + PartialEq> EngineDifference<T> {
    #[track_caller]
    fn expect(self, engine: &Engine, observed: &T) {
        let expected = if engine.is_embedded() { self.embedded } else { self.dynamodb_local };
        assert_eq!(*observed, expected);
    }
}

/// A system that shows the behaviour of its engine.
struct EngineProbe(System);

impl EngineProbe {
    async fn start() -> Self {
        Self(System::start().await)
    }

    fn engine(&self) -> &Engine {
        self.0.stack.engine()
    }

    /// Puts an item with these additional attributes into the events table.
    async fn put(&self, version: u64, more: Value) {
        let mut item = json!({ "stream": "probe#1", "version": version });
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let app = &self.0.stack.app;
        let put = app.dynamo.client.put_item().table_name(&*app.tables.get("events").unwrap());
        put.set_item(Some(serde_dynamo::to_item(item).unwrap())).send().await.unwrap();
    }

    /// The first page of the stream.
    async fn first_page(&self) -> Vec<Record> {
        let streams = self.engine().streams();
        let arn = self.0.stack.stream_arn("EventsTable").unwrap();
        let described = streams.describe_stream().stream_arn(arn).send().await.unwrap().stream_description.unwrap();
        let shard = described.shards().first().unwrap().shard_id().unwrap();
        let iterator = streams.get_shard_iterator().stream_arn(arn).shard_id(shard);
        let iterator = iterator.shard_iterator_type("TRIM_HORIZON".into()).send().await.unwrap().shard_iterator;
        streams.get_records().set_shard_iterator(iterator).send().await.unwrap().records.unwrap()
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// On AWS: no record. So the event source mapping drops records that change nothing.
#[tokio::test]
async fn a_put_that_changes_nothing_makes_a_record() {
    let probe = EngineProbe::start().await;
    probe.put(1, json!({ "note": "same" })).await;
    probe.put(1, json!({ "note": "same" })).await;
    EngineDifference { embedded: 2, dynamodb_local: 1 }.expect(probe.engine(), &probe.first_page().await.len());
}

/// On AWS: to the second. DynamoDB Local rounds down to the minute, so records seem older than they are.
#[tokio::test]
async fn a_record_has_a_time_to_the_second_or_to_the_minute() {
    let probe = EngineProbe::start().await;
    let before = Environment::system().now().as_second();
    probe.put(1, json!({})).await;
    let created = probe.first_page().await.remove(0).dynamodb.unwrap().approximate_creation_date_time.unwrap().secs();
    assert!(probe.engine().is_embedded() && created >= before || created % 60 == 0 && created > before - 60);
}

/// On AWS: at least 21, the minimum length in API requests.
#[tokio::test]
async fn sequence_numbers_have_21_digits() {
    let probe = EngineProbe::start().await;
    probe.put(1, json!({})).await;
    let record = probe.first_page().await.remove(0).dynamodb.unwrap();
    EngineDifference { embedded: 21, dynamodb_local: 21 }
        .expect(probe.engine(), &record.sequence_number.unwrap().len());
}

/// On AWS: an open shard has no ending sequence number. The stream reader ignores the number.
#[tokio::test]
async fn an_open_shard_has_an_ending_sequence_number() {
    let probe = EngineProbe::start().await;
    probe.put(1, json!({})).await;
    let arn = probe.0.stack.stream_arn("EventsTable").unwrap();
    let described = probe.engine().streams().describe_stream().stream_arn(arn).send().await.unwrap();
    let shards = described.stream_description.unwrap().shards.unwrap();
    assert_eq!(shards.len(), 1);
    let end = shards[0].sequence_number_range.as_ref().unwrap().ending_sequence_number.is_some();
    EngineDifference { embedded: true, dynamodb_local: false }.expect(probe.engine(), &end);
}

/// On AWS: at most 1 MB.
#[tokio::test]
async fn a_page_of_the_stream_may_be_larger_than_a_megabyte() {
    let probe = EngineProbe::start().await;
    for version in 1..=4 {
        probe.put(version, json!({ "blob": "x".repeat(350_000) })).await;
    }
    EngineDifference { embedded: 4, dynamodb_local: 4 }.expect(probe.engine(), &probe.first_page().await.len());
}

/// On AWS: `{"M": {}}`. [`Engine::streams`] repairs it for DynamoDB Local, so that the SDK can read the records.
#[tokio::test]
async fn an_empty_map_in_a_record_is_a_map() {
    let probe = EngineProbe::start().await;
    probe.put(1, json!({ "data": {} })).await;
    let image = probe.first_page().await.remove(0).dynamodb.unwrap().new_image.unwrap();
    assert!(image["data"].as_m().is_ok());
}

/// On AWS: the units of each action with its indexes, and half a unit for a query without results.
#[tokio::test]
async fn dynamodb_local_counts_units_differently() {
    let probe = EngineProbe::start().await;
    let app = &probe.0.stack.app;
    let client = &app.dynamo.client;
    let update = Update::builder().table_name(&*app.tables.get("order-summaries").unwrap()).key("order_id", text("1"));
    let update = update.update_expression("SET customer_id = :c, placed_at = :p");
    let update = update.expression_attribute_values(":c", text("alice")).expression_attribute_values(":p", text("now"));
    let write = client.transact_write_items().return_consumed_capacity(ReturnConsumedCapacity::Total);
    let action = TransactWriteItem::builder().update(update.build().unwrap()).build();
    let written = write.transact_items(action).send().await.unwrap().consumed_capacity.unwrap();
    EngineDifference { embedded: Some(3.0), dynamodb_local: Some(4.0) }
        .expect(probe.engine(), &written[0].capacity_units);

    let query = client.query().table_name(&*app.tables.get("events").unwrap()).key_condition_expression("#s = :s");
    let query = query.expression_attribute_names("#s", "stream").expression_attribute_values(":s", text("nobody"));
    let empty = query.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
    EngineDifference { embedded: Some(0.5), dynamodb_local: Some(0.0) }
        .expect(probe.engine(), &empty.consumed_capacity.unwrap().capacity_units);
}

/// On AWS: an index can be behind. The system does not rely on it: tests with chaos and without a projector show that.
#[tokio::test]
async fn an_index_is_never_behind_its_table() {
    let probe = EngineProbe::start().await;
    let app = &probe.0.stack.app;
    for number in 0..20 {
        let customer = format!("customer-{number}");
        let put = app
            .dynamo
            .client
            .put_item()
            .table_name(&*app.tables.get("order-summaries").unwrap())
            .item("order_id", text(&customer));
        put.item("customer_id", text(&customer)).item("placed_at", text("now")).send().await.unwrap();
        let query = app
            .dynamo
            .client
            .query()
            .table_name(&*app.tables.get("order-summaries").unwrap())
            .index_name("by-customer");
        let query = query.key_condition_expression("customer_id = :c");
        let found = query.expression_attribute_values(":c", text(&customer)).send().await.unwrap();
        assert_eq!(found.count, 1);
    }
}

/// On AWS: some of them fail with `TransactionConflict`. See [`local::engine::interceptor::Fault::Conflict`].
#[tokio::test]
async fn transactions_on_one_item_never_conflict() {
    let probe = EngineProbe::start().await;
    let app = &probe.0.stack.app;
    let add = |_| {
        let update = Update::builder()
            .table_name(&*app.tables.get("dashboard").unwrap())
            .key("shard", text("0"))
            .key("row", text("totals"));
        let update = update.update_expression("ADD orders :one");
        let update = update.expression_attribute_values(":one", AttributeValue::N("1".to_owned())).build().unwrap();
        let action = TransactWriteItem::builder().update(update).build();
        app.dynamo.client.transact_write_items().transact_items(action).send()
    };
    let written = futures_util::future::join_all((0..20).map(add)).await;
    assert!(written.iter().all(Result::is_ok));
}

/// On AWS: a recreated table has a new stream.
#[tokio::test]
async fn a_recreated_table_shows_the_records_of_its_predecessor() {
    let probe = EngineProbe::start().await;
    probe.put(1, json!({})).await;
    let (client, name) = (&probe.0.stack.app.dynamo.client, &*probe.0.stack.app.tables.get("events").unwrap());
    client.delete_table().table_name(name).send().await.unwrap();
    let table = &harness::template().tables["EventsTable"];
    let arn = local::tables::create(client, name, table).await.unwrap().unwrap();
    let streams = probe.engine().streams();
    let described = streams.describe_stream().stream_arn(&arn).send().await.unwrap().stream_description.unwrap();
    let shard = described.shards().first().unwrap().shard_id().unwrap();
    let iterator = streams.get_shard_iterator().stream_arn(&arn).shard_id(shard);
    let iterator = iterator.shard_iterator_type("TRIM_HORIZON".into()).send().await.unwrap().shard_iterator;
    let records = streams.get_records().set_shard_iterator(iterator).send().await.unwrap().records.unwrap();
    EngineDifference { embedded: 1, dynamodb_local: 0 }.expect(probe.engine(), &records.len());
}
