//! Parked streams: an event that cannot be projected stops only its own order, in its own projection.

use ::maintain::{rebuild::rebuild, segments::Checkpoint, verify::verify};
use cqrs::{StreamId, Version};
use cqrs_dynamodb::{CatchUpReport, CatchUpRequest, ParkedView, Views, views::StoredView};
use domains::Domains;
use jiff::{SignedDuration, Timestamp};
use local::engine::interceptor::Fault;
use orders::{OrderEvent, OrderSummaries, OrderSummary};
use serde_json::{Value, json};

use crate::harness::{System, shipment};

/// Event lists that the code cannot read.
fn poisons() -> [Value; 5] {
    [
        json!([{ "type": "order.lost", "schema": 1, "data": {} }]),
        json!([{ "type": "order.shipped", "schema": 2, "data": {} }]),
        json!([{ "type": "order.shipped", "schema": 1, "data": { "carrier": [] } }]),
        json!([]),
        json!("events"),
    ]
}

fn shipped() -> Value {
    json!([{ "type": "order.shipped", "schema": 1, "data": shipment() }])
}

fn views(system: &System) -> Views<OrderSummaries> {
    Views::new(system.stack.app.dynamo.clone(), system.stack.app.tables.get("order-summaries").unwrap())
}

async fn view(system: &System, order_id: &str) -> StoredView<OrderSummary> {
    views(system).get(order_id).await.unwrap().unwrap()
}

async fn parked(system: &System) -> Vec<ParkedView> {
    views(system).parked().await.unwrap()
}

async fn redrive(system: &System, order_id: &str) -> CatchUpReport {
    let request = CatchUpRequest::redrive(StreamId::of::<OrderEvent>(order_id));
    system.stack.app.projector::<Domains>().unwrap().catch_up(&[request]).await
}

/// Three projected orders. The second commit of the second order is `poison`.
async fn poisoned(poison: Value) -> (System, [String; 3]) {
    let system = System::start().await;
    let alice = system.customer("alice");
    let [first, second] = [alice.places_order("1").await, alice.places_order("2").await];
    system.append_raw(&second, 2, poison).await;
    let last = alice.places_order("3").await;
    system.project().await;
    (system, [first, second, last])
}

#[tokio::test]
async fn a_poison_event_parks_only_its_own_order() {
    for poison in poisons() {
        let (system, [first, second, last]) = poisoned(poison).await;
        let alice = system.customer("alice");
        for fine in [first, last] {
            let shown = alice.get(format!("/orders/{fine}")).await.expect(200);
            assert_eq!(shown.document.get("behind"), None);
        }
        let stored = view(&system, &second).await;
        assert_eq!(stored.position.version, Version::new(1));
        let parked = parked(&system).await;
        assert_eq!(parked.len(), 1);
        assert_eq!((parked[0].stream.key(), &Some(parked[0].parked.clone())), (second.as_str(), &stored.parked));
        assert_eq!((parked[0].parked.version, parked[0].parked.attempts), (Version::new(2), 1));
        let measured = system.take_metrics();
        assert_eq!(json!([measured["Parked"], measured.get("ProjectionFailures")]), json!([1, null]));
        system.check_counters().await;
    }
}

#[tokio::test]
async fn commits_before_the_poison_are_applied_and_later_ones_are_skipped() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("1").await;
    system.fulfilment().ships(&id).await;
    system.append_raw(&id, 3, poisons()[0].clone()).await;
    system.append_raw(&id, 4, json!([{ "type": "order.delivered", "schema": 1, "data": {} }])).await;
    system.project().await;
    assert_eq!(view(&system, &id).await.position.version, Version::new(2));
    // Repeated deliveries apply nothing out of order.
    let records = system.stream_records().await;
    system.take_metrics();
    for batch in [&records[3..], &records[2..], &records[..]] {
        assert_eq!(system.deliver(batch).await, json!({ "batchItemFailures": [] }));
    }
    assert_eq!(system.take_metrics()["Skipped"], 3);
    let stored = view(&system, &id).await;
    assert_eq!((stored.position.version, stored.parked.unwrap().attempts), (Version::new(2), 1));
    system.check_counters().await;
}

#[tokio::test]
async fn an_order_whose_first_event_is_poison_has_no_view_and_is_listed_as_parked() {
    let system = System::start().await;
    let id = "27debfb8-bd42-8131-9d45-532727018fe6";
    system.append_raw(id, 1, poisons()[0].clone()).await;
    system.project().await;
    let parked = parked(&system).await;
    assert_eq!((parked.len(), parked[0].parked.version), (1, Version::new(1)));
    system.fulfilment().get(format!("/orders/{id}")).await.expect_problem(503, "view-parked");
    system.customer("alice").get(format!("/orders/{id}")).await.expect_problem(503, "view-parked");
}

#[tokio::test]
async fn queries_mark_a_view_that_is_behind_and_refuse_later_versions() {
    let (system, [_, id, _]) = poisoned(poisons()[0].clone()).await;
    let alice = system.customer("alice");
    let shown = alice.get(format!("/orders/{id}")).await.expect(200);
    assert_eq!(json!([shown.document["status"], shown.document["behind"]]), json!(["placed", true]));
    // The tag of a view that is behind differs from the tag of the same version that is not.
    assert_eq!(shown.header("etag"), Some("\"1-s1-behind\""));
    let tagged = |tag: &str| alice.get(format!("/orders/{id}")).header("If-None-Match", tag);
    tagged("\"1-s1-behind\"").await.expect(304);
    assert_eq!(tagged("\"1-s1\"").await.expect(200).document, shown.document);
    tagged("\"2-s1\"").await.expect_problem(503, "view-parked");
    alice.get(format!("/orders/{id}?min_version=1")).await.expect(200);
    alice.get(format!("/orders/{id}?min_version=2")).await.expect_problem(503, "view-parked");
    system.customer("bob").get(format!("/orders/{id}?min_version=2")).await.expect_problem(404, "not-found");

    let list = alice.get("/customers/alice/orders").await.expect(200);
    let behind: Vec<_> = list.document["orders"].as_array().unwrap().iter().map(|row| row.get("behind")).collect();
    assert_eq!(behind, [None, Some(&json!(true)), None]);
    let beyond = format!("/customers/alice/orders?min_version={id}:2");
    alice.get(beyond).await.expect_problem(503, "view-parked");
    // A command on an unreadable stream fails.
    system.fulfilment().post(format!("/orders/{id}/ship")).json(&shipment()).await.expect_problem(500, "internal");
}

#[tokio::test]
async fn a_query_folds_up_to_the_poison_before_the_projector_runs() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("1").await;
    system.append_raw(&id, 2, poisons()[0].clone()).await;
    let shown = alice.get(format!("/orders/{id}")).await.expect(200);
    assert_eq!(json!([shown.document["version"], shown.document["behind"]]), json!([1, true]));
    alice.get(format!("/orders/{id}?min_version=2")).await.expect_problem(503, "view-parked");
}

#[tokio::test]
async fn a_redrive_after_the_fix_catches_up_and_a_second_one_changes_nothing() {
    let (system, [_, id, _]) = poisoned(poisons()[0].clone()).await;
    assert_eq!(redrive(&system, &id).await.parked.len(), 1);
    assert_eq!(parked(&system).await[0].parked.attempts, 2);

    system.append_raw(&id, 2, shipped()).await;
    system.append_raw(&id, 3, json!([{ "type": "order.delivered", "schema": 1, "data": {} }])).await;
    system.project().await;
    assert_eq!(
        view(&system, &id).await.position.version,
        Version::new(1),
        "a parked stream is skipped until a redrive"
    );
    let report = redrive(&system, &id).await;
    assert_eq!((report.commits(), report.parked.len(), report.failed.len()), (2, 0, 0));
    assert_eq!(parked(&system).await, []);
    system.check_read_models().await;
    let report = redrive(&system, &id).await;
    assert_eq!((report.views_written, report.duplicates), (0, 1));
    assert_eq!(system.customer("alice").get(format!("/orders/{id}")).await.expect(200).document.get("behind"), None);
}

#[tokio::test]
async fn a_failure_to_park_is_reported_as_a_failed_record() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let ids = [alice.places_order("1").await, alice.places_order("2").await];
    system.append_raw(&ids[1], 2, poisons()[0].clone()).await;
    let records = system.stream_records().await;
    assert_eq!(system.deliver(&records[..2]).await, json!({ "batchItemFailures": [] }));
    system.interceptor.inject("UpdateItem", Fault::AccessDenied, 1);
    let failed = json!({ "batchItemFailures": [{ "itemIdentifier": records[1].sequence_number }] });
    assert_eq!(system.deliver(&records).await, failed);
    assert_eq!(system.deliver(&records[1..]).await, json!({ "batchItemFailures": [] }));
    assert_eq!(parked(&system).await.len(), 1);
}

#[tokio::test]
async fn one_write_stores_a_view_with_its_parked_mark() {
    let (system, [_, id, _]) = poisoned(poisons()[0].clone()).await;
    system.append_raw(&id, 2, shipped()).await;
    system.append_raw(&id, 3, poisons()[1].clone()).await;
    // With two writes, a kill in between would leave a stream that is neither caught up nor parked.
    system.interceptor.inject("UpdateItem", Fault::AccessDenied, usize::MAX);
    let report = redrive(&system, &id).await;
    assert_eq!((report.views_written, report.parked.len(), report.failed.len()), (1, 1, 0));
    let stored = view(&system, &id).await;
    let parked = stored.parked.unwrap();
    assert_eq!((stored.position.version, parked.version, parked.attempts), (Version::new(2), Version::new(3), 2));
    system.check_counters().await;
}

#[tokio::test]
async fn a_projector_that_began_before_a_stream_was_parked_does_not_remove_its_mark() {
    let (system, [_, id, _]) = poisoned(poisons()[0].clone()).await;
    // A projector with newer code began before the stream was parked, and writes now.
    let mark = [system.remove_attribute(&id, "parked").await, system.remove_attribute(&id, "parked_in").await];
    system.append_raw(&id, 2, shipped()).await;
    system.project().await;
    let before = system.stream_records().await.len();
    let mut request = CatchUpRequest::new(StreamId::of::<OrderEvent>(&id));
    request.observe(Version::new(2), None);
    system.interceptor.inject("TransactWriteItems", Fault::Conflict, usize::MAX);
    let meanwhile = async {
        system.interceptor.fault_injected().await;
        for (name, value) in ["parked", "parked_in"].into_iter().zip(mark) {
            system.overwrite_attribute(&id, name, value).await;
        }
        // The next record meets the mark, and is skipped.
        system.append_raw(&id, 3, json!([{ "type": "order.delivered", "schema": 1, "data": {} }])).await;
        let next = system.stream_records().await.split_off(before);
        assert_eq!(system.deliver(&next).await, json!({ "batchItemFailures": [] }));
        system.interceptor.clear_faults();
    };
    let projector = system.stack.app.projector::<Domains>().unwrap();
    let requests = [request];
    let (report, ()) = tokio::join!(projector.catch_up(&requests), meanwhile);
    assert_eq!((report.views_written, report.skipped), (0, 1));
    let stored = view(&system, &id).await;
    assert!(stored.position.version == Version::new(1) && stored.parked.is_some(), "{stored:?}");
    redrive(&system, &id).await;
    assert_eq!(view(&system, &id).await.position.version, Version::new(3));
    system.check_read_models().await;
}

#[tokio::test]
async fn a_redrive_includes_commits_that_arrive_meanwhile() {
    let (system, [_, id, _]) = poisoned(poisons()[0].clone()).await;
    system.append_raw(&id, 2, shipped()).await;
    system.project().await;
    let before = system.stream_records().await.len();
    system.interceptor.inject("TransactWriteItems", Fault::Conflict, usize::MAX);
    let meanwhile = async {
        system.interceptor.fault_injected().await;
        system.append_raw(&id, 3, json!([{ "type": "order.delivered", "schema": 1, "data": {} }])).await;
        let next = system.stream_records().await.split_off(before);
        assert_eq!(system.deliver(&next).await, json!({ "batchItemFailures": [] }), "the stream is still parked");
        system.interceptor.clear_faults();
    };
    let (report, ()) = tokio::join!(redrive(&system, &id), meanwhile);
    assert_eq!((report.views_written, report.commits(), report.duplicates), (2, 2, 0));
    assert_eq!(parked(&system).await, []);
    system.check_read_models().await;
}

#[tokio::test]
async fn a_stale_view_of_an_unreadable_stream_is_parked_and_not_wrong() {
    let (system, [_, id, _]) = poisoned(shipped()).await;
    // Code of a newer schema version cannot read an event that is already in this view.
    system.append_raw(&id, 2, poisons()[0].clone()).await;
    system.make_stale(&id).await;
    let rebuilt = rebuild::<Domains>(&system.stack.app, Checkpoint::start(1), |_, _| {}).await.unwrap();
    assert_eq!((rebuilt.parked, rebuilt.parked_now.len()), (1, 1));
    let stored = view(&system, &id).await;
    assert_eq!((stored.position.version, stored.schema), (Version::new(2), 0));
    let report =
        verify::<Domains>(&system.stack.app, SignedDuration::ZERO, Timestamp::MAX, Checkpoint::start(1), |_, _| {})
            .await
            .unwrap();
    assert_eq!((report.projections["order-summaries"].views.parked, report.is_wrong()), (1, false));
}
