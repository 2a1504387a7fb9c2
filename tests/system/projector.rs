//! The projector under repeated, late, reordered, interrupted and missing deliveries.

use local::{engine::interceptor::Fault, event_source_mapping::record::Record};
use serde_json::{Value, json};

use crate::harness::{System, interceptor::ANY_OPERATION};

/// Three orders, of which the second was shipped and the third was shipped and delivered.
async fn three_orders(system: &System) -> [String; 3] {
    let alice = system.customer("alice");
    let ids = [alice.places_order("1").await, alice.places_order("2").await, alice.places_order("3").await];
    system.fulfilment().ships(&ids[1]).await;
    system.fulfilment().ships(&ids[2]).await;
    system.fulfilment().post(format!("/orders/{}/deliver", ids[2])).await.expect(200);
    ids
}

fn success() -> Value {
    json!({ "batchItemFailures": [] })
}

fn failing(record: &Record) -> Value {
    json!({ "batchItemFailures": [{ "itemIdentifier": record.sequence_number }] })
}

/// The record with one field of its JSON changed.
fn with(record: &Record, pointer: &str, value: Value) -> Record {
    let mut changed = record.clone();
    *changed.json.pointer_mut(pointer).unwrap() = value;
    changed
}

#[tokio::test]
async fn a_repeated_batch_changes_nothing() {
    let system = System::start().await;
    three_orders(&system).await;
    let records = system.stream_records().await;
    for _ in 0..3 {
        assert_eq!(system.deliver(&records).await, success());
        system.check_read_models().await;
    }
    system.replaying_mapping().drain().await.unwrap();
    system.check_read_models().await;
}

#[tokio::test]
async fn a_batch_may_contain_a_record_five_times() {
    let system = System::start().await;
    three_orders(&system).await;
    let records = system.stream_records().await;
    let five_times: Vec<_> = records.iter().flat_map(|record| vec![record.clone(); 5]).collect();
    assert_eq!(system.deliver(&five_times).await, success());
    system.check_read_models().await;
}

#[tokio::test]
async fn records_may_arrive_in_reverse_order() {
    let system = System::start().await;
    three_orders(&system).await;
    let records = system.stream_records().await;
    for record in records.iter().rev() {
        assert_eq!(system.deliver(std::slice::from_ref(record)).await, success());
        system.check_counters().await;
    }
    system.check_read_models().await;
}

#[tokio::test]
async fn the_gap_of_a_missing_record_is_filled_from_the_event_store() {
    let system = System::start().await;
    three_orders(&system).await;
    let records = system.stream_records().await;
    // Only the last record of each order arrives.
    assert_eq!(system.deliver(&[records[0].clone(), records[3].clone(), records[5].clone()]).await, success());
    system.check_read_models().await;
}

#[tokio::test]
async fn a_record_without_an_image_catches_up_its_stream() {
    let system = System::start().await;
    three_orders(&system).await;
    let without = |record: &Record| {
        let mut bare = record.clone();
        bare.json["dynamodb"].as_object_mut().unwrap().remove("NewImage");
        bare
    };
    let records: Vec<_> = system.stream_records().await.iter().map(without).collect();
    assert_eq!(system.deliver(&records).await, success());
    system.check_read_models().await;
}

#[tokio::test]
async fn records_that_are_not_commits_are_ignored() {
    let system = System::start().await;
    three_orders(&system).await;
    let records = system.stream_records().await;
    let not_a_commit = with(&records[0], "/dynamodb/Keys", json!({ "pk": { "S": "config" } }));
    let nameless = with(&records[0], "/dynamodb/Keys/stream", json!({ "S": "no-stream" }));
    let unknown = with(&records[0], "/dynamodb/Keys/stream", json!({ "S": "invoice#1" }));
    let modified = with(&records[1], "/eventName", json!("MODIFY"));
    let removed = with(&records[2], "/eventName", json!("REMOVE"));
    assert_eq!(system.deliver(&[not_a_commit, nameless, unknown, modified, removed]).await, success());
    assert_eq!(system.view_versions().await.len(), 0);
    assert_eq!(system.deliver(&records).await, success());
    system.check_read_models().await;
}

#[tokio::test]
async fn throttling_conflicts_and_unprocessed_keys_are_retried() {
    let system = System::start().await;
    let ids = three_orders(&system).await;
    let records = system.stream_records().await;
    system.interceptor.inject("TransactWriteItems", Fault::Conflict, 3);
    system.interceptor.inject("TransactWriteItems", Fault::Throttled, 2);
    system.interceptor.inject("TransactWriteItems", Fault::ResponseDropped, 1);
    assert_eq!(system.deliver(&records).await, success());
    system.check_read_models().await;

    system.customer("alice").cancels(&ids[0]).await;
    system.interceptor.leave_unprocessed();
    system.interceptor.inject("BatchGetItem", Fault::Throttled, 2);
    system.project().await;
    system.check_read_models().await;
}

#[tokio::test]
async fn unreachable_tables_fail_the_batch_from_the_first_record_that_needs_them() {
    let system = System::start().await;
    let ids = three_orders(&system).await;
    let records = system.stream_records().await;
    // Access denied is not retried, so the whole chunk fails.
    system.interceptor.inject("TransactWriteItems", Fault::AccessDenied, 1);
    assert_eq!(system.deliver(&records).await, failing(&records[0]));
    assert_eq!(system.deliver(&records).await, success());
    // Records that need no write succeed. The first record that needs one is reported.
    system.customer("alice").cancels(&ids[0]).await;
    let records = system.stream_records().await;
    system.interceptor.inject("TransactWriteItems", Fault::AccessDenied, 1);
    assert_eq!(system.deliver(&records[3..]).await, failing(&records[6]));
    system.check_counters().await;
    assert_eq!(system.deliver(&records).await, success());
    system.check_read_models().await;
}

#[tokio::test]
async fn an_invocation_may_die_at_any_call_and_its_batch_is_delivered_again() {
    for fault in [Fault::RequestTimeout, Fault::ResponseTimeout] {
        for call in 0.. {
            let system = System::start().await;
            let ids = three_orders(&system).await;
            let records = system.stream_records().await;
            assert_eq!(system.deliver(&records[..1]).await, success());
            system.customer("alice").cancels(&ids[0]).await;
            let records = system.stream_records().await;

            // The first record of the third order is missing, so the batch makes all kinds of calls.
            let batch = [&records[..2], &records[3..]].concat();
            system.interceptor.inject_after(ANY_OPERATION, call, fault, 1);
            let injected = tokio::select! {
                () = system.interceptor.fault_injected() => true,
                answer = system.deliver(&batch) => { assert_eq!(answer, success()); false }
            };
            system.interceptor.clear_faults();
            system.check_counters().await;
            assert_eq!(system.deliver(&batch).await, success());
            system.check_read_models().await;
            if !injected {
                assert!(call >= 3, "the batch reads views, fills a gap and writes");
                break;
            }
        }
    }
}

#[tokio::test]
async fn concurrent_projectors_count_nothing_twice() {
    let system = System::start().await;
    three_orders(&system).await;
    let records = system.stream_records().await;
    let mut backwards = records.clone();
    backwards.reverse();
    let (one, two, three) =
        tokio::join!(system.deliver(&records), system.deliver(&backwards), system.deliver(&records[2..]));
    assert_eq!([one, two, three], [success(), success(), success()]);
    system.check_read_models().await;
}

#[tokio::test]
async fn a_batch_larger_than_a_transaction_is_split() {
    let system = System::start().await;
    let alice = system.customer("alice");
    for number in 0..250 {
        alice.places_order(&format!("order-{number}")).await;
    }
    assert_eq!(system.deliver(&system.stream_records().await).await, success());
    system.check_read_models().await;
}
