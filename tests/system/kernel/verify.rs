//! Verification of views, of the counters by table, and of rows.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::{Counters, StreamId};
use cqrs_dynamodb::{InGeneration, Projector, VerifiedViews, ViewDefect};
use jiff::Timestamp;

use super::{
    Jars,
    catch_up::stream,
    jar::{JarEvent, filled},
};

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

async fn with_a_labelled_jar() -> (Jars, Projector) {
    let jars = Jars::start().await;
    let labelled = JarEvent::Filled { amount: 1, note: "tea,green,".to_owned() };
    let a = stream(&jars, "a", &[labelled, filled(2)]).await;
    let projector = jars.projector_of_all::<1>();
    projector.catch_up(&[a]).await;
    (jars, projector)
}

async fn verify(projector: &Projector) -> VerifiedViews {
    let streams = [StreamId::of::<JarEvent>("a")];
    projector.verify(&streams, Timestamp::MAX).await.unwrap().views.remove("levels").unwrap()
}

/// The tables whose counters are not what the streams have added to them.
async fn wrong_tables(projector: &Projector) -> Vec<String> {
    let expected: BTreeMap<InGeneration, Counters> = verify(projector).await.counters;
    let found = projector.counters().await.unwrap();
    found.into_iter().filter(|(table, found)| expected[table] != *found).map(|(table, _)| table.name).collect()
}

#[tokio::test]
async fn a_projected_stream_is_correct() {
    let (_, projector) = with_a_labelled_jar().await;
    let verified = verify(&projector).await;
    assert_eq!((verified.defective.len(), verified.behind.len()), (0, 0), "{verified:?}");
    assert_eq!(wrong_tables(&projector).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_counter_is_found_in_its_table() {
    let (jars, projector) = with_a_labelled_jar().await;
    let add = |table: &str, row: &str, column: &str| {
        let update = jars.dynamo.client.update_item().table_name(jars.table(table));
        let update = update.key("shard", text("1#0")).key("row", text(row)).update_expression("ADD #column :one");
        let update = update.expression_attribute_names("#column", column);
        update.expression_attribute_values(":one", AttributeValue::N("1".to_owned())).send()
    };
    add("words", "tea", "occurrences").await.unwrap();
    assert_eq!(wrong_tables(&projector).await, ["words"]);
    // A table that a rollup and a tally share.
    add("inventory", "all", "fillings").await.unwrap();
    assert_eq!(wrong_tables(&projector).await, ["inventory", "words"]);
}

#[tokio::test]
async fn a_missing_and_a_changed_row_are_found() {
    let (jars, projector) = with_a_labelled_jar().await;
    let stream = StreamId::of::<JarEvent>("a");
    let update = jars.dynamo.client.update_item().table_name(jars.table("labels"));
    let update = update.key("partition", text("tea")).key("sort", text("label#a"));
    let update =
        update.update_expression("SET is_empty = :yes").expression_attribute_values(":yes", AttributeValue::Bool(true));
    update.send().await.unwrap();
    assert_eq!(verify(&projector).await.defective, BTreeMap::from([(stream.clone(), ViewDefect::RowDifferent)]));
    let delete = jars.dynamo.client.delete_item().table_name(jars.table("labels"));
    delete.key("partition", text("green")).key("sort", text("label#a")).send().await.unwrap();
    assert_eq!(verify(&projector).await.defective, BTreeMap::from([(stream, ViewDefect::RowMissing)]));
}

#[tokio::test]
async fn a_stream_that_a_new_tally_has_not_counted_is_found() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(1)]).await;
    jars.projector::<1>().catch_up(std::slice::from_ref(&a)).await;
    let projector = jars.projector_of_all::<1>();
    assert_eq!(verify(&projector).await.defective[&a.stream], ViewDefect::NotCounted);
    projector.catch_up(&[a]).await;
    assert_eq!(verify(&projector).await.defective.len(), 0);
}
