//! Rebuilding counters into another generation.

use ::maintain::{
    counters::{CountersReport, NotServed, Outcome, rebuild_counters},
    segments::Checkpoint,
    verify::{CountersStatus, verify},
};
use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::{Counters, Rollup};
use cqrs_dynamodb::Generation;
use jiff::{SignedDuration, Timestamp};
use orders::Dashboard;
use serde_json::json;

use crate::harness::{ReadModelsOnly, System};

/// Rebuilds the counters. No other process writes, so the writers know of the generation at once.
async fn rebuild(system: &System) -> CountersReport {
    let app = &system.stack.app;
    rebuild_counters::<ReadModelsOnly>(app, Checkpoint::start(2), SignedDuration::ZERO, |_, _| {}).await.unwrap()
}

/// Adds to the number of placed orders in the table, past the system.
async fn add_to_placed(system: &System, generation: u32, amount: i32) {
    let app = &system.stack.app;
    let update = app.dynamo.client.update_item().table_name(&*app.tables.get(Dashboard::TABLE).unwrap());
    let update = update.key("shard", AttributeValue::S(format!("{generation}#0")));
    let update = update.key("row", AttributeValue::S("totals".to_owned())).update_expression("ADD #column :amount");
    let update = update.expression_attribute_names("#column", "status:placed");
    update.expression_attribute_values(":amount", AttributeValue::N(amount.to_string())).send().await.unwrap();
}

async fn placed(system: &System) -> serde_json::Value {
    system.operator().get("/dashboard").await.expect(200).document["by_status"]["placed"].clone()
}

async fn status(system: &System) -> CountersStatus {
    let app = &system.stack.app;
    let report = verify::<ReadModelsOnly>(app, SignedDuration::ZERO, Timestamp::MAX, Checkpoint::start(1), |_, _| {});
    report.await.unwrap().counters[Dashboard::TABLE]
}

fn outcome(report: &CountersReport) -> &Outcome {
    &report.tables[Dashboard::TABLE].outcome
}

async fn with_three_orders() -> System {
    let system = System::start().await;
    for key in ["1", "2", "3"] {
        system.customer("alice").places_order(key).await;
    }
    system.project().await;
    system
}

#[tokio::test]
async fn a_rebuild_serves_correct_counters_and_names_the_error_of_the_former() {
    let system = with_three_orders().await;
    add_to_placed(&system, 1, -4).await;
    assert_eq!((placed(&system).await, status(&system).await), (json!(-1), CountersStatus::Wrong));
    let report = rebuild(&system).await;
    let former_error = Counters::default().with("totals", "status:placed", -4);
    assert_eq!(*outcome(&report), Outcome::Served { former_error });
    assert_ne!(report.tables[Dashboard::TABLE].generation, Generation::FIRST);
    assert_eq!((placed(&system).await, status(&system).await), (json!(3), CountersStatus::Correct));
    // The projector counts into the served generation only.
    let id = system.customer("alice").places_order("4").await;
    system.fulfilment().ships(&id).await;
    system.project().await;
    assert_eq!((placed(&system).await, status(&system).await), (json!(3), CountersStatus::Correct));
    system.check_read_models().await;
    assert_eq!(*outcome(&rebuild(&system).await), Outcome::Served { former_error: Counters::default() });
    system.check_read_models().await;
}

#[tokio::test]
async fn orders_that_change_while_counters_are_built_are_counted_in_both_generations() {
    let system = with_three_orders().await;
    let table = system.stack.app.counters(Dashboard::TABLE).unwrap();
    let building = table.begin_generation().await.unwrap().building.unwrap();
    let id = system.customer("bob").places_order("new").await;
    system.project().await;
    system.fulfilment().ships(&id).await;
    system.project().await;
    // Only the new order is counted in the generation that is being built.
    let snapshot = table.snapshot(&[Generation::FIRST, building], "totals").await.unwrap();
    assert_eq!([Generation::FIRST, building].map(|g| snapshot[&g].get("totals", "orders")), [4, 1]);
    assert_eq!(snapshot[&building].get("totals", "status:shipped"), 1);
    assert_eq!(placed(&system).await, 3);
    let report = rebuild(&system).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.tables[Dashboard::TABLE].generation, building, "the rebuild continues");
    assert_eq!(report.streams.written, 3, "the new order is counted already");
    assert_eq!(placed(&system).await, 3);
    system.check_read_models().await;
}

#[tokio::test]
async fn counters_that_differ_from_their_views_are_not_served() {
    let system = with_three_orders().await;
    let table = system.stack.app.counters(Dashboard::TABLE).unwrap();
    let building = table.begin_generation().await.unwrap().building.unwrap();
    add_to_placed(&system, building.get(), 1).await;
    assert_eq!(*outcome(&rebuild(&system).await), Outcome::NotServed(NotServed::Wrong));
    assert_eq!((placed(&system).await, status(&system).await), (json!(3), CountersStatus::Correct));
    let report = rebuild(&system).await;
    assert_ne!(report.tables[Dashboard::TABLE].generation, building, "a number is used once");
    assert!(report.is_complete(), "{report:?}");
    system.check_read_models().await;
}

#[tokio::test]
async fn a_view_that_cannot_be_folded_keeps_the_counters_from_being_served() {
    let system = with_three_orders().await;
    let id = system.customer("alice").places_order("4").await;
    system.fulfilment().ships(&id).await;
    system.project().await;
    // The commit that the view was folded from cannot be read any more.
    let mut item = system.commit_item(&id, 2).await.unwrap();
    item.insert("caller".to_owned(), AttributeValue::S("mallory".to_owned()));
    let original = system.commit_item(&id, 2).await.unwrap();
    system.put_commit_item(item).await;
    assert_eq!(*outcome(&rebuild(&system).await), Outcome::NotServed(NotServed::Incomplete { views: 1 }));
    system.put_commit_item(original).await;
    let report = rebuild(&system).await;
    assert!(report.is_complete(), "{report:?}");
    system.check_read_models().await;
}

#[tokio::test]
async fn a_failed_rebuild_of_counters_is_continued_from_its_checkpoint() {
    let system = with_three_orders().await;
    let mut reached = None;
    system.interceptor.inject_after("Scan", 3, local::engine::interceptor::Fault::AccessDenied, 1);
    let app = &system.stack.app;
    let failed =
        rebuild_counters::<ReadModelsOnly>(app, Checkpoint::start(1), SignedDuration::ZERO, |_, checkpoint| {
            reached = Some(checkpoint.clone());
        });
    failed.await.unwrap_err();
    system.interceptor.clear_faults();
    assert_eq!(placed(&system).await, 3);
    let continued =
        rebuild_counters::<ReadModelsOnly>(app, reached.unwrap(), SignedDuration::ZERO, |_, _| {}).await.unwrap();
    assert!(continued.is_complete(), "{continued:?}");
    assert_eq!((continued.streams.streams, placed(&system).await), (0, json!(3)));
    system.check_read_models().await;
}

#[tokio::test]
async fn a_lost_table_of_counters_is_rebuilt_at_once_although_views_have_entries_of_its_generations() {
    let system = with_three_orders().await;
    assert!(rebuild(&system).await.is_complete());
    system.clock.advance_ms(60_000);
    system.delete_counters().await;
    assert_eq!(placed(&system).await, 0);
    let report = rebuild(&system).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((placed(&system).await, status(&system).await), (json!(3), CountersStatus::Correct));
    system.check_read_models().await;
}

#[tokio::test]
async fn a_stream_that_is_parked_at_its_first_commit_does_not_keep_counters_from_being_served() {
    let system = with_three_orders().await;
    system.append_raw("poison", 1, json!([{ "type": "order.exploded", "schema": 1, "data": {} }])).await;
    system.project().await;
    assert!(rebuild(&system).await.is_complete());
    system.check_counters().await;
}
