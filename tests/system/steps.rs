//! Maintenance on Lambda: a job has segments, and a segment has steps that each fit into one invocation.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use local::engine::interceptor::Fault;
use serde_json::{Value, json};

use crate::harness::{System, template};

/// A system with this number of orders, all projected.
async fn with_orders(number: usize) -> (System, Vec<String>) {
    let system = System::start().await;
    let mut ids = Vec::new();
    for number in 0..number {
        ids.push(system.customer("alice").places_order(&format!("order-{number}")).await);
    }
    system.project().await;
    system.publish().await;
    system.take_metrics();
    (system, ids)
}

/// Invokes a step with `time` until its deadline, as the state machine does.
async fn step(system: &System, time: Duration, step: Value) -> Result<Value, String> {
    let timeout = template().functions["maintain"].timeout;
    let elapsed = i64::try_from((timeout - time).as_millis()).unwrap();
    let now = system.stack.app.dynamo.environment.now().as_millisecond();
    system.stack.function("maintain").unwrap().invoke(step, now - elapsed).await.map_err(|error| error.to_string())
}

/// Invokes the steps of a segment until it is done. Returns the totals and the number of steps.
async fn steps(system: &System, time: Duration, job: &Value, segment: u16) -> (Value, usize) {
    let mut taken = json!({ "job": job, "segment": segment });
    for number in 1.. {
        taken = step(system, time, taken).await.unwrap();
        assert_eq!((&taken["job"], &taken["segment"]), (job, &json!(segment)));
        if taken["done"] == true {
            return (taken["totals"].clone(), number);
        }
    }
    unreachable!("a segment ends")
}

fn full_timeout() -> Duration {
    template().functions["maintain"].timeout
}

/// Too little time for a second page.
const SCARCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_rebuild_goes_through_all_segments() {
    let (system, ids) = with_orders(12).await;
    for id in &ids[..5] {
        system.make_stale(id).await;
    }
    let (mut orders, mut written) = (0, 0);
    for segment in 0..3 {
        let (totals, _) = steps(&system, full_timeout(), &json!({ "task": "rebuild", "segments": 3 }), segment).await;
        orders += totals["streams"].as_u64().unwrap();
        written += totals["written"].as_u64().unwrap();
    }
    assert_eq!((orders, written), (12, 5));
    system.check_read_models().await;
}

#[tokio::test]
async fn a_step_ends_before_its_deadline_and_the_next_one_continues() {
    let (system, ids) = with_orders(9).await;
    for id in &ids {
        system.make_stale(id).await;
    }
    system.interceptor.rewrite("Scan", |body| body["Limit"] = 2.into());
    let (totals, number) = steps(&system, SCARCE, &json!({ "task": "rebuild", "segments": 1 }), 0).await;
    assert_eq!(totals, json!({ "streams": 9, "written": 9, "parked": 0, "wrong": 0 }));
    assert!(number >= 5, "{number} steps of two orders each");
    system.check_read_models().await;

    let (_, number) = steps(&system, full_timeout(), &json!({ "task": "rebuild", "segments": 1 }), 0).await;
    assert_eq!(number, 1, "one step has time for all orders");
}

#[tokio::test]
async fn a_failed_step_is_an_error_and_can_be_repeated() {
    let (system, ids) = with_orders(3).await;
    system.make_stale(&ids[1]).await;
    let first = json!({ "job": { "task": "rebuild", "segments": 1 }, "segment": 0 });
    system.interceptor.inject("PutItem", Fault::AccessDenied, 1);
    let error = step(&system, full_timeout(), first.clone()).await.unwrap_err();
    assert!(error.contains("1 streams could not be caught up"), "{error}");
    system.interceptor.inject("Scan", Fault::AccessDenied, 1);
    step(&system, full_timeout(), first.clone()).await.unwrap_err();
    let taken = step(&system, full_timeout(), first).await.unwrap();
    assert_eq!(taken["totals"], json!({ "streams": 3, "written": 1, "parked": 0, "wrong": 0 }));
    system.check_read_models().await;
}

#[tokio::test]
async fn streams_that_a_step_parks_are_counted_like_those_of_the_projector() {
    let (system, ids) = with_orders(2).await;
    system.append_raw(&ids[0], 2, json!([{ "type": "order.lost", "schema": 1, "data": {} }])).await;
    let job = json!({ "task": "rebuild", "segments": 1 });
    for (parked, measured) in [(1, json!({ "Parked": 1 })), (2, json!({}))] {
        let (totals, _) = steps(&system, full_timeout(), &job, 0).await;
        // A stream that is parked now counts once. Later, its view and the position of the publisher are skipped.
        assert_eq!((&totals["parked"], json!(system.take_metrics())), (&json!(parked), measured));
    }
}

#[tokio::test]
async fn a_verification_counts_drift_and_writes_nothing() {
    let (system, ids) = with_orders(4).await;
    let job = json!({ "task": "verify", "segments": 1 });
    steps(&system, full_timeout(), &job, 0).await;
    assert_eq!(json!(system.take_metrics()), json!({}), "nothing has drifted");

    system.make_stale(&ids[0]).await;
    // After five minutes this view is late, and so is the publication of the order.
    system.customer("alice").cancels(&ids[1]).await;
    system.clock.advance_ms(301_000);
    system.take_metrics();
    for _ in 0..2 {
        let (totals, _) = steps(&system, full_timeout(), &job, 0).await;
        assert_eq!(totals, json!({ "streams": 4, "written": 0, "parked": 0, "wrong": 3 }));
        assert_eq!(json!(system.take_metrics()), json!({ "Drift": 3 }));
    }
}

#[tokio::test]
async fn a_verification_in_one_step_also_compares_the_counters() {
    let (system, _) = with_orders(2).await;
    let app = &system.stack.app;
    let counters = app.dynamo.client.update_item().table_name(&*app.tables.get("dashboard").unwrap());
    let key = ["shard", "row"]
        .into_iter()
        .zip(["1#0", "totals"])
        .map(|(name, value)| (name.into(), AttributeValue::S(value.into())));
    let counters = counters.set_key(Some(key.collect())).update_expression("ADD orders :one");
    counters.expression_attribute_values(":one", AttributeValue::N("1".to_owned())).send().await.unwrap();
    let (totals, _) = steps(&system, full_timeout(), &json!({ "task": "verify", "segments": 1 }), 0).await;
    assert_eq!((&totals["wrong"], json!(system.take_metrics())), (&json!(1), json!({ "Drift": 1 })));
}

#[tokio::test]
async fn a_verification_in_several_steps_does_not_compare_the_counters() {
    let (system, _) = with_orders(5).await;
    system.interceptor.rewrite("Scan", |body| body["Limit"] = 2.into());
    let (totals, number) = steps(&system, SCARCE, &json!({ "task": "verify", "segments": 1 }), 0).await;
    assert_eq!(totals, json!({ "streams": 5, "written": 0, "parked": 0, "wrong": 0 }));
    assert!(number >= 3, "{number} steps of two orders each");
    assert_eq!(json!(system.take_metrics()), json!({}));
}

#[tokio::test]
async fn a_sweep_catches_up_only_the_streams_of_discarded_batches() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let now = system.stack.app.dynamo.environment.now();
    let lost = alice.places_order("lost").await;
    system.clock.advance_ms(3_600_000);
    alice.places_order("late").await;
    let discarded = json!({ "DDBStreamBatchInfo": {
        "approximateArrivalOfFirstRecord": now, "approximateArrivalOfLastRecord": now,
    } });
    let (totals, _) =
        steps(&system, full_timeout(), &json!({ "task": "sweep", "segments": 1, "discarded": [discarded] }), 0).await;
    // The view, and the position of the publisher.
    assert_eq!(totals, json!({ "streams": 1, "written": 2, "parked": 0, "wrong": 0 }));
    assert!(system.view_versions().await.keys().eq([&lost]));
    // Without discarded batches there is nothing to do.
    let (totals, _) =
        steps(&system, full_timeout(), &json!({ "task": "sweep", "segments": 1, "discarded": [] }), 0).await;
    assert_eq!(totals["streams"], 0);
}

#[tokio::test]
async fn an_invalid_job_is_an_error() {
    let system = System::start().await;
    for job in [json!({ "task": "drop", "segments": 1 }), json!({ "task": "rebuild", "segments": 0 }), json!("rebuild")]
    {
        step(&system, full_timeout(), json!({ "job": job, "segment": 0 })).await.unwrap_err();
    }
}
