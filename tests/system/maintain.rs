//! Maintenance of views by operators: verify, rebuild, redrive and sweep.

use std::collections::BTreeSet;

use ::maintain::{
    rebuild::{RebuildReport, rebuild},
    redrive,
    segments::Checkpoint,
    sweep,
    verify::{CountersStatus, ProjectionReport, VerifyReport, verify},
};
use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::StreamId;
use cqrs_dynamodb::{Segment, ViewDefect};
use jiff::{SignedDuration, Timestamp};
use orders::OrderEvent;
use serde_json::json;

use crate::harness::{ReadModelsOnly, System, shipment};

/// A system with this number of orders, every third one shipped, all projected.
async fn with_orders(number: usize) -> (System, Vec<String>) {
    let system = System::start().await;
    let alice = system.customer("alice");
    let mut ids = Vec::new();
    for number in 0..number {
        ids.push(alice.places_order(&format!("order-{number}")).await);
        if number % 3 == 0 {
            system.fulfilment().ships(&ids[number]).await;
        }
    }
    system.project().await;
    (system, ids)
}

/// The time for which a view may lack a commit.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

async fn report(system: &System, segments: u16) -> VerifyReport {
    verify::<ReadModelsOnly>(&system.stack.app, PATIENCE, Timestamp::MAX, Checkpoint::start(segments), |_, _| {})
        .await
        .unwrap()
}

fn order_views(report: &VerifyReport) -> &ProjectionReport {
    &report.projections["order-summaries"]
}

fn number(number: &str) -> AttributeValue {
    AttributeValue::N(number.to_owned())
}

#[tokio::test]
async fn projected_views_and_counters_pass_the_verification() {
    let (system, _) = with_orders(9).await;
    for segments in [1, 4] {
        let report = report(&system, segments).await;
        assert_eq!(
            (
                order_views(&report).views.views,
                order_views(&report).views.defective.len(),
                report.counters["dashboard"]
            ),
            (9, 0, CountersStatus::Correct)
        );
        assert!(!report.is_wrong());
    }
}

#[tokio::test]
async fn changed_views_and_counters_are_found() {
    let (system, ids) = with_orders(5).await;
    system.overwrite_attribute(&ids[1], "total", number("1")).await;
    system.overwrite_attribute(&ids[2], "version", number("7")).await;
    system.overwrite_attribute(&ids[3], "schema", number("0")).await;
    let found = report(&system, 1).await;
    let wrong: Vec<_> = order_views(&found).views.defective.values().copied().collect();
    assert_eq!(wrong.len(), 3);
    assert!(
        [ViewDefect::Different, ViewDefect::Ahead, ViewDefect::OtherSchema].iter().all(|defect| wrong.contains(defect)),
        "{wrong:?}"
    );
    assert!(found.is_wrong());

    let app = &system.stack.app;
    let counters = app.dynamo.client.update_item().table_name(&*app.tables.get("dashboard").unwrap());
    let counters =
        counters.key("shard", AttributeValue::S("1#0".to_owned())).key("row", AttributeValue::S("totals".to_owned()));
    let counters = counters.update_expression("ADD orders :one").expression_attribute_values(":one", number("1"));
    counters.send().await.unwrap();
    assert_eq!(report(&system, 1).await.counters["dashboard"], CountersStatus::Wrong);
}

#[tokio::test]
async fn a_view_that_is_behind_for_too_long_is_wrong() {
    let (system, ids) = with_orders(2).await;
    system.customer("alice").cancels(&ids[1]).await;
    system.customer("alice").places_order("new").await;
    let found = report(&system, 1).await;
    assert_eq!((order_views(&found).views.behind.len(), order_views(&found).views.defective.len()), (2, 0));
    assert!(!found.is_wrong());
    // The duration of the verification itself does not count.
    let advance_clock = |_, _: &Checkpoint| system.clock.advance_ms(600_000);
    let found =
        verify::<ReadModelsOnly>(&system.stack.app, PATIENCE, Timestamp::MAX, Checkpoint::start(1), advance_clock)
            .await
            .unwrap();
    assert!(!found.is_wrong());
    let found = report(&system, 1).await;
    assert_eq!((order_views(&found).late.len(), found.is_wrong()), (2, true));
}

#[tokio::test]
async fn the_verification_of_one_segment_does_not_compare_the_counters() {
    let (system, _) = with_orders(12).await;
    let mut views = 0;
    for number in 0..4 {
        let part = Checkpoint::start_of(Segment { number, of: 4 });
        let report =
            verify::<ReadModelsOnly>(&system.stack.app, PATIENCE, Timestamp::MAX, part, |_, _| {}).await.unwrap();
        assert_eq!(report.counters["dashboard"], CountersStatus::NotCompared);
        views += report.projections.get("order-summaries").map_or(0, |report| report.views.views);
    }
    assert_eq!(views, 12, "each order is in exactly one segment");
}

#[tokio::test]
async fn a_rebuild_folds_stale_views_anew_and_a_second_one_writes_nothing() {
    let (system, ids) = with_orders(20).await;
    for id in &ids[..10] {
        system.make_stale(id).await;
    }
    // The projector has not delivered this commit.
    system.customer("alice").cancels(&ids[11]).await;
    let rebuilt = rebuild::<ReadModelsOnly>(&system.stack.app, Checkpoint::start(3), |_, _| {}).await.unwrap();
    assert_eq!((rebuilt.streams, rebuilt.written, rebuilt.unchanged, rebuilt.failed.len()), (20, 11, 9, 0));
    system.check_read_models().await;
    let again = rebuild::<ReadModelsOnly>(&system.stack.app, Checkpoint::start(1), |_, _| {}).await.unwrap();
    assert_eq!(again, RebuildReport { streams: 20, unchanged: 20, ..RebuildReport::default() });
}

#[tokio::test]
async fn an_interrupted_rebuild_continues_at_its_checkpoint() {
    let (system, ids) = with_orders(12).await;
    for id in &ids {
        system.make_stale(id).await;
    }
    let mut checkpoints = Vec::new();
    rebuild::<ReadModelsOnly>(&system.stack.app, Checkpoint::start(4), |rebuilt, checkpoint| {
        checkpoints.push((rebuilt.streams, serde_json::to_string(checkpoint).unwrap()));
    })
    .await
    .unwrap();
    let (done, checkpoint) = checkpoints.swap_remove(1);
    let rest = rebuild::<ReadModelsOnly>(&system.stack.app, serde_json::from_str(&checkpoint).unwrap(), |_, _| {})
        .await
        .unwrap();
    assert_eq!(rest.streams, 12 - done);
    system.check_read_models().await;
}

#[tokio::test]
async fn a_rebuild_runs_beside_commands_and_the_projector() {
    let (system, ids) = with_orders(40).await;
    for id in &ids {
        system.make_stale(id).await;
    }
    let commands = async {
        for id in &ids {
            system.customer("alice").post(format!("/orders/{id}/cancel")).json(&json!({ "reason": "late" })).await;
            system.project_a_batch().await;
            // Meanwhile no query fails or shows an older version.
            system.customer("alice").get(format!("/orders/{id}?min_version=2")).await.expect(200);
        }
    };
    let rebuilding = rebuild::<ReadModelsOnly>(&system.stack.app, Checkpoint::start(4), |_, _| {});
    let (rebuilt, ()) = tokio::join!(rebuilding, commands);
    assert_eq!(rebuilt.unwrap().failed.len(), 0);
    system.project().await;
    system.check_read_models().await;
    assert!(!report(&system, 4).await.is_wrong());
}

#[tokio::test]
async fn a_redrive_retries_all_parked_streams() {
    let (system, ids) = with_orders(4).await;
    let lost = json!([{ "type": "order.lost", "schema": 1, "data": {} }]);
    for id in &ids[1..3] {
        system.append_raw(id, 2, lost.clone()).await;
    }
    system.project().await;
    let app = &system.stack.app;
    assert_eq!(redrive::parked::<ReadModelsOnly>(app).await.unwrap()["order-summaries"].len(), 2);
    assert_eq!(order_views(&report(&system, 1).await).views.parked, 2);

    let shipped = json!([{ "type": "order.shipped", "schema": 1, "data": shipment() }]);
    system.append_raw(&ids[1], 2, shipped).await;
    let twice = [&ids[1], &ids[2], &ids[1]].map(StreamId::of::<OrderEvent>);
    assert_eq!(redrive::streams::<ReadModelsOnly>(app, &twice).await.unwrap().len(), 2, "a stream is redriven once");
    let streams = redrive::streams::<ReadModelsOnly>(app, &[]).await.unwrap();
    let reports = redrive::redrive::<ReadModelsOnly>(app, &streams).await.unwrap();
    assert_eq!((reports[0].views_written, reports[0].parked.len()), (1, 1));
    let still_parked = redrive::parked::<ReadModelsOnly>(app).await.unwrap().remove("order-summaries").unwrap();
    assert_eq!(
        (still_parked[0].stream.key(), still_parked[0].parked.attempts, still_parked.len()),
        (ids[2].as_str(), 2, 1)
    );
}

#[tokio::test]
async fn a_redrive_reports_a_stream_that_no_projection_handles() {
    let (system, ids) = with_orders(1).await;
    let streams = [StreamId::of::<OrderEvent>(&ids[0]), StreamId::try_from("nobody#1".to_owned()).unwrap()];
    let mut report = RebuildReport::default();
    for batch in redrive::redrive::<ReadModelsOnly>(&system.stack.app, &streams).await.unwrap() {
        report.add(0, &batch);
    }
    assert_eq!((report.unchanged, report.unhandled, report.failed.len()), (1, 1, 0));
}

#[tokio::test]
async fn a_sweep_catches_up_the_streams_of_discarded_batches() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let early = alice.places_order("early").await;
    system.clock.advance_ms(3_600_000);
    let now = system.stack.app.dynamo.environment.now();
    let lost = [alice.places_order("1").await, alice.places_order("2").await];
    system.clock.advance_ms(3_600_000);
    alice.places_order("late").await;

    let body = json!({ "requestContext": { "condition": "RetryAttemptsExhausted" }, "DDBStreamBatchInfo": {
        "shardId": "shardId-1", "startSequenceNumber": "1", "endSequenceNumber": "2", "batchSize": 2,
        "approximateArrivalOfFirstRecord": now, "approximateArrivalOfLastRecord": now,
    } });
    let received = json!({ "Messages": [{ "MessageId": "1", "Body": body.to_string() }] });
    let app = &system.stack.app;
    for messages in [format!("{body}\n{body}\n"), received.to_string()] {
        let discarded = sweep::read(&messages).unwrap();
        let streams = sweep::streams::<ReadModelsOnly>(app, &discarded, Checkpoint::start(2)).await.unwrap();
        let keys: BTreeSet<&str> = streams.iter().map(|stream| stream.key()).collect();
        assert_eq!(keys, lost.iter().map(String::as_str).collect());
        let swept = sweep::sweep::<ReadModelsOnly>(app, &discarded, Checkpoint::start(2), |_, _| {}).await.unwrap();
        assert_eq!((swept.streams, swept.failed.len()), (2, 0));
    }
    assert!(sweep::read("{}").is_err() && sweep::read("nonsense").is_err());
    assert_eq!(sweep::streams::<ReadModelsOnly>(app, &[], Checkpoint::start(2)).await.unwrap(), []);
    let views = system.view_versions().await;
    assert!(lost.iter().all(|id| views.contains_key(id)) && !views.contains_key(&early));
    system.project().await;
    system.check_read_models().await;
}
