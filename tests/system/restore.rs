//! Restoring the events: the exercise of docs/restore.md, views of commits that a restore took away, and commits that
//! were changed.

use ::maintain::{
    rebuild::{RebuildReport, rebuild},
    segments::Checkpoint,
    verify::{VerifyReport, verify},
};
use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::StreamId;
use cqrs_dynamodb::{ViewDefect, commit_item};
use jiff::{SignedDuration, Timestamp};
use orders::OrderEvent;
use serde_json::{Value, json};

use crate::harness::{ReadModelsOnly, System};

async fn rebuilt(system: &System) -> RebuildReport {
    rebuild::<ReadModelsOnly>(&system.stack.app, Checkpoint::start(2), |_, _| {}).await.unwrap()
}

async fn verified(system: &System, heads_at: Timestamp) -> VerifyReport {
    let app = &system.stack.app;
    verify::<ReadModelsOnly>(app, SignedDuration::ZERO, heads_at, Checkpoint::start(2), |_, _| {}).await.unwrap()
}

fn stream(id: &str) -> StreamId {
    StreamId::of::<OrderEvent>(id)
}

async fn defects(system: &System) -> Vec<(StreamId, ViewDefect)> {
    let report = verified(system, Timestamp::MAX).await;
    report.projections["order-summaries"].views.defective.clone().into_iter().collect()
}

/// A projected order that was shipped, whose shipment a restore then took away.
async fn without_its_shipment() -> (System, String) {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.fulfilment().ships(&id).await;
    system.project().await;
    system.delete_commit_item(&id, 2).await;
    (system, id)
}

async fn cancel(system: &System, id: &str) {
    let cancel = json!({ "reason": "changed my mind" });
    system.customer("alice").post(format!("/orders/{id}/cancel")).json(&cancel).await.expect(200);
}

async fn status_of(system: &System, id: &str, min_version: u64) -> Value {
    let shown = system.customer("alice").get(format!("/orders/{id}?min_version={min_version}")).await.expect(200);
    shown.document["status"].clone()
}

#[tokio::test]
async fn a_view_of_a_lost_commit_is_folded_anew_when_another_commit_takes_its_place() {
    let (system, id) = without_its_shipment().await;
    cancel(&system, &id).await;
    system.project().await;
    assert_eq!(status_of(&system, &id, 2).await, "cancelled");
    system.check_read_models().await;
}

#[tokio::test]
async fn a_rebuild_folds_the_view_of_a_replaced_commit_anew() {
    let (system, id) = without_its_shipment().await;
    cancel(&system, &id).await;
    assert_eq!(defects(&system).await, [(stream(&id), ViewDefect::OtherHistory)]);
    let report = rebuilt(&system).await;
    assert_eq!((report.written, report.unchanged), (1, 0));
    assert_eq!(status_of(&system, &id, 2).await, "cancelled");
    system.check_read_models().await;
}

#[tokio::test]
async fn a_rebuild_lowers_a_view_that_is_ahead_of_its_stream() {
    let (system, id) = without_its_shipment().await;
    assert_eq!(defects(&system).await, [(stream(&id), ViewDefect::Ahead)]);
    assert_eq!(rebuilt(&system).await.written, 1);
    assert_eq!(status_of(&system, &id, 1).await, "placed");
    assert_eq!(rebuilt(&system).await.written, 0);
    system.check_read_models().await;
}

#[tokio::test]
async fn a_new_commit_below_the_version_of_a_view_lowers_the_view() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.fulfilment().ships(&id).await;
    system.fulfilment().post(format!("/orders/{id}/deliver")).await.expect(200);
    system.project().await;
    system.delete_commit_item(&id, 3).await;
    system.delete_commit_item(&id, 2).await;
    cancel(&system, &id).await;
    system.project().await;
    let shown = system.customer("alice").get(format!("/orders/{id}")).await.expect(200);
    assert_eq!(json!([shown.document["version"], shown.document["status"]]), json!([2, "cancelled"]));
    system.check_read_models().await;
}

#[tokio::test]
async fn a_query_that_reads_events_notices_that_its_view_is_of_another_history() {
    let (system, id) = without_its_shipment().await;
    cancel(&system, &id).await;
    system.append_raw(&id, 3, json!([{ "type": "order.delivered", "schema": 1, "data": {} }])).await;
    // The view is at the lost version 2, so the query reads the events.
    let shown = system.customer("alice").get(format!("/orders/{id}?min_version=3")).await.expect(200).document;
    assert_eq!(json!([shown["version"], shown["status"], shown["carrier"]]), json!([3, "delivered", null]));
    assert_eq!(shown["cancel_reason"], "changed my mind");
}

#[tokio::test]
async fn a_view_without_a_stream_is_found_and_removed() {
    let system = System::start().await;
    let ids = ["first", "second"].map(|key| async { system.customer("alice").places_order(key).await });
    let ids = futures_util::future::join_all(ids).await;
    system.project().await;
    system.delete_commit_item(&ids[0], 1).await;
    assert_eq!(defects(&system).await, [(stream(&ids[0]), ViewDefect::NoStream)]);
    let report = rebuilt(&system).await;
    assert_eq!((report.removed, report.written, report.unchanged), (1, 0, 1));
    system.customer("alice").get(format!("/orders/{}", ids[0])).await.expect(404);
    let dashboard = system.operator().get("/dashboard").await.expect(200);
    assert_eq!(dashboard.document["orders"], 1);
    system.check_read_models().await;
    assert_eq!(rebuilt(&system).await.removed, 0);
}

#[tokio::test]
async fn the_verification_names_the_commit_that_was_changed_removed_or_replaced() {
    for (version, damage, expected) in [
        (2, "changed", "version 2: the commit was changed"),
        (2, "removed", "version 2: a version is missing"),
        (2, "replaced", "version 2: the commit was replaced"),
        (1, "replaced", "version 1: the commit was replaced"),
        (3, "changed", "version 3: the commit was changed"),
    ] {
        let system = System::start().await;
        let id = system.customer("alice").places_order("first").await;
        system.fulfilment().ships(&id).await;
        system.fulfilment().post(format!("/orders/{id}/deliver")).await.expect(200);
        system.project().await;
        let mut item = system.commit_item(&id, version).await.unwrap();
        item.insert("caller".to_owned(), AttributeValue::S("mallory".to_owned()));
        match damage {
            "changed" => system.put_commit_item(item).await,
            "replaced" => {
                commit_item::seal(&mut item);
                system.put_commit_item(item).await;
            }
            _ => system.delete_commit_item(&id, version).await,
        }
        let report = verified(&system, Timestamp::MAX).await;
        assert_eq!(report.streams.corrupt.get(&stream(&id)).map(String::as_str), Some(expected), "{damage}");
        assert!(report.is_wrong());
        system.operator().post(format!("/orders/{id}/deliver")).await.expect_problem(500, "internal");
    }
}

#[tokio::test]
async fn the_digest_of_the_heads_shows_a_lost_or_rewritten_tail_that_the_chain_does_not() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.fulfilment().ships(&id).await;
    system.project().await;
    let now = system.stack.app.dynamo.environment.now();
    let kept = verified(&system, now).await.streams.heads;
    system.clock.advance_ms(60_000);
    system.customer("bob").places_order("later").await;
    assert_eq!(verified(&system, now).await.streams.heads, kept, "later commits do not count");
    let mut last = system.commit_item(&id, 2).await.unwrap();
    last.insert("caller".to_owned(), AttributeValue::S("mallory".to_owned()));
    commit_item::seal(&mut last);
    system.put_commit_item(last).await;
    let rewritten = verified(&system, now).await.streams;
    assert_eq!((rewritten.corrupt.len(), rewritten.heads == kept), (0, false));
    system.delete_commit_item(&id, 2).await;
    let cut = verified(&system, now).await.streams;
    assert_eq!((cut.corrupt.len(), cut.heads == kept), (0, false));
}

#[tokio::test]
async fn the_events_are_restored_alone_and_the_read_tables_are_rebuilt() {
    // The system before the damage, and the digest of its heads, which somebody keeps.
    let damaged = System::start().await;
    let alice = damaged.customer("alice");
    let ids = ["kept", "shipped", "delivered"].map(|key| alice.places_order(key));
    let [kept, shipped, delivered] = futures_util::future::join_all(ids).await.try_into().unwrap();
    damaged.fulfilment().ships(&shipped).await;
    damaged.fulfilment().ships(&delivered).await;
    let restore_to = damaged.stack.app.dynamo.environment.now();
    let kept_heads = verified(&damaged, restore_to).await.streams.heads;
    let backup = damaged.commit_items().await;

    // Clients are told 2xx. Then somebody removes a commit and changes another.
    damaged.clock.advance_ms(60_000);
    let lost = damaged.customer("bob").places_order("lost").await;
    let delivery = || damaged.fulfilment().post(format!("/orders/{delivered}/deliver")).header("Idempotency-Key", "d");
    delivery().await.expect(200);
    damaged.project().await;
    damaged.delete_commit_item(&shipped, 1).await;
    let mut changed = damaged.commit_item(&kept, 1).await.unwrap();
    changed.insert("caller".to_owned(), AttributeValue::S("mallory".to_owned()));
    damaged.put_commit_item(changed).await;
    let found = verified(&damaged, restore_to).await.streams;
    assert_eq!((found.corrupt.len(), found.heads == kept_heads), (2, false));

    // Writes have stopped. The restored table has the items of that time and a new stream. The stack gets it, with two
    // empty read tables and a new mapping.
    let restored = damaged.with_new_tables().await;
    for item in backup {
        restored.put_commit_item(item).await;
    }
    assert_eq!(verified(&restored, restore_to).await.streams.heads, kept_heads, "nothing is missing");
    let report = rebuilt(&restored).await;
    assert_eq!((report.streams, report.written, report.failed.len()), (3, 3, 0));
    restored.project().await;
    assert!(!verified(&restored, Timestamp::MAX).await.is_wrong());
    restored.check_read_models().await;

    // Clients that were told 2xx: the order and the delivery are gone, and can be sent again.
    restored.customer("bob").get(format!("/orders/{lost}")).await.expect_problem(404, "not-found");
    let operator = restored.operator();
    let behind = operator.get(format!("/orders/{delivered}?min_version=3")).await;
    behind.expect_problem(404, "version-not-found");
    let with_a_lost_version =
        restored.fulfilment().post(format!("/orders/{delivered}/deliver")).header("If-Match", "\"3\"");
    with_a_lost_version.await.expect_problem(412, "version-mismatch");
    let dashboard = operator.get("/dashboard").await.expect(200).document;
    assert_eq!(json!([dashboard["orders"], dashboard["by_status"]["shipped"]]), json!([3, 2]));
    assert_eq!(restored.customer("bob").places_order("lost").await, lost, "the same key gives the same order");
    let again = restored.fulfilment().post(format!("/orders/{delivered}/deliver")).header("Idempotency-Key", "d");
    let again = again.await.expect(200);
    assert_eq!((again.version(), again.header("idempotency-replayed")), (3, None));
    restored.project().await;
    restored.check_read_models().await;
}
