//! The metrics of commands and of batches.

use local::engine::interceptor::Fault;
use serde_json::{Value, json};

use crate::harness::{System, cancellation, order, shipment};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Compares all metrics since the last call.
#[track_caller]
fn expect_metrics(system: &System, expected: Value) {
    assert_eq!(json!(system.take_metrics()), expected);
}

#[tokio::test]
async fn commands_are_counted_by_outcome() {
    let system = System::start().await;
    let (alice, warehouse) = (system.customer("alice"), system.fulfilment());
    let id = alice.places_order("first").await;
    expect_metrics(&system, json!({ "CommandsAccepted": 1 }));
    alice.places_order("first").await;
    expect_metrics(&system, json!({ "CommandsReplayed": 1 }));
    let other = json!({ "currency": "EUR", "shipping_address": "x", "items": order()["items"] });
    alice.post("/orders").json(&other).header("Idempotency-Key", "first").await.expect(422);
    expect_metrics(&system, json!({ "CommandsRejected": 1 }));
    warehouse.ships(&id).await;
    alice.post(format!("/orders/{id}/cancel")).json(&cancellation()).await.expect(409);
    alice.post(format!("/orders/{id}/cancel")).json(&cancellation()).header("If-Match", "\"1\"").await.expect(412);
    expect_metrics(&system, json!({ "CommandsAccepted": 1, "CommandsRejected": 2 }));
}

#[tokio::test]
async fn a_rejection_is_counted_by_its_reason_and_not_by_its_order() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.take_metrics();
    system.operator().post(format!("/orders/{id}/deliver")).await.expect(409);
    let line = system.last_metrics_line();
    assert_eq!(line["Reason"], "not-shipped");
    let dimensions: Vec<_> = line["_aws"]["CloudWatchMetrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|directive| &directive["Dimensions"])
        .collect();
    assert_eq!(dimensions, [&json!([[]]), &json!([["Reason"]])]);
    assert!(!line.to_string().contains(&id));
}

#[tokio::test]
async fn lost_races_and_unknown_outcomes_are_counted() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.take_metrics();
    // Both commands load the stream before one of them appends.
    let (alice, warehouse) = (system.customer("alice"), system.fulfilment());
    let cancel = alice.post(format!("/orders/{id}/cancel")).json(&cancellation());
    let ship = warehouse.post(format!("/orders/{id}/ship")).json(&shipment());
    let (cancelled, shipped) = tokio::join!(cancel, ship);
    assert_eq!(cancelled.status.min(shipped.status), 200);
    let measured = system.take_metrics();
    assert_eq!(measured["CommandsAccepted"], 1);
    assert_eq!(measured["CommandsRejected"], 1);

    system.interceptor.inject("PutItem", Fault::ResponseDropped, 100);
    alice.post("/orders").json(&order()).await.expect_problem(503, "outcome-unknown");
    expect_metrics(&system, json!({ "OutcomeUnknown": 1 }));
}

#[tokio::test]
async fn batches_are_counted_by_commits_gaps_and_duplicates() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.fulfilment().ships(&id).await;
    let records = system.stream_records().await;
    system.clock.advance_ms(60_000);
    system.take_metrics();

    system.deliver(&records[1..]).await;
    let first = system.take_metrics();
    assert_eq!(json!([first["CommitsProjected"], first["GapsFilled"]]), json!([2, 1]));
    let lag = first["ProjectionLag"][0].as_i64().unwrap();
    assert!((60_000..61_000).contains(&lag), "{lag}");

    system.deliver(&records).await;
    let second = system.take_metrics();
    assert_eq!(second["Duplicates"], 1);
    assert!(!second.contains_key("CommitsProjected"));
}

#[tokio::test]
async fn parked_streams_tampered_commits_and_other_items_are_counted() {
    let system = System::start().await;
    system.append_raw("poison", 1, json!([{ "type": "order.exploded", "schema": 1, "data": {} }])).await;
    let mut records = system.stream_records().await;
    records.extend(records.clone());
    records[1].json["eventName"] = json!("REMOVE");
    records.extend(records[..1].to_vec());
    records[2].json["dynamodb"]["Keys"] = json!({ "id": { "S": "1" } });
    system.deliver(&records).await;
    expect_metrics(&system, json!({ "Parked": 1, "Tampered": 1, "NotACommit": 1 }));
}

#[tokio::test]
async fn a_batch_links_to_the_traces_of_its_commands() {
    let system = System::start().await;
    let alice = system.customer("alice");
    alice.post("/orders").json(&order()).header("traceparent", TRACE).await.expect(201);
    alice.post("/orders").json(&order()).await.expect(201);
    system.project().await;
    assert_eq!(system.last_metrics_line()["links"], json!([TRACE]));
}
