//! The projector under any delivery: again, late, in another order, cut short, or never.

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

/// The record with one field of its `dynamodb` or of itself changed.
fn with(record: &Record, pointer: &str, value: Value) -> Record {
    let mut changed = record.clone();
    *changed.json.pointer_mut(pointer).unwrap() = value;
    changed
}

#[tokio::test]
async fn a_batch_that_comes_twice_changes_nothing_the_second_time() {
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
async fn a_record_may_come_five_times_in_a_batch() {
    let system = System::start().await;
    three_orders(&system).await;
    let records = system.stream_records().await;
    let five_times: Vec<_> = records.iter().flat_map(|record| vec![record.clone(); 5]).collect();
    assert_eq!(system.deliver(&five_times).await, success());
    system.check_read_models().await;
}

#[tokio::test]
async fn records_may_come_in_any_order_one_by_one() {
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
async fn a_record_that_never_comes_is_healed_from_the_write_table() {
    let system = System::start().await;
    three_orders(&system).await;
    let records = system.stream_records().await;
    // The last record of each order is all that comes: of the first one its only one.
    assert_eq!(system.deliver(&[records[0].clone(), records[3].clone(), records[5].clone()]).await, success());
    system.check_read_models().await;
}

#[tokio::test]
async fn a_record_without_its_image_is_a_doorbell_still() {
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
async fn what_is_no_commit_is_never_applied_and_stops_nothing() {
    let system = System::start().await;
    three_orders(&system).await;
    let records = system.stream_records().await;
    let foreign = with(&records[0], "/dynamodb/Keys", json!({ "pk": { "S": "config" } }));
    let nameless = with(&records[0], "/dynamodb/Keys/stream", json!({ "S": "no-stream" }));
    let unknown = with(&records[0], "/dynamodb/Keys/stream", json!({ "S": "invoice#1" }));
    let modified = with(&records[1], "/eventName", json!("MODIFY"));
    let removed = with(&records[2], "/eventName", json!("REMOVE"));
    assert_eq!(system.deliver(&[foreign, nameless, unknown, modified, removed]).await, success());
    assert_eq!(system.view_versions().await.len(), 0);
    assert_eq!(system.deliver(&records).await, success());
    system.check_read_models().await;
}

#[tokio::test]
async fn throttling_collisions_and_unprocessed_keys_are_tried_again() {
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
async fn tables_that_stay_out_of_reach_are_reported_from_the_first_record_that_needs_them() {
    let system = System::start().await;
    let ids = three_orders(&system).await;
    let records = system.stream_records().await;
    // Access denied is not tried again: the whole chunk fails at once.
    system.interceptor.inject("TransactWriteItems", Fault::AccessDenied, 1);
    assert_eq!(system.deliver(&records).await, failing(&records[0]));
    assert_eq!(system.deliver(&records).await, success());
    // What needs no write is done; the first record that needs one is reported.
    system.customer("alice").cancels(&ids[0]).await;
    let records = system.stream_records().await;
    system.interceptor.inject("TransactWriteItems", Fault::AccessDenied, 1);
    assert_eq!(system.deliver(&records[3..]).await, failing(&records[6]));
    system.check_counters().await;
    assert_eq!(system.deliver(&records).await, success());
    system.check_read_models().await;
}

#[tokio::test]
async fn an_invocation_may_end_at_any_call_and_the_batch_come_again() {
    for fault in [Fault::RequestTimeout, Fault::ResponseTimeout] {
        for call in 0.. {
            let system = System::start().await;
            let ids = three_orders(&system).await;
            let records = system.stream_records().await;
            assert_eq!(system.deliver(&records[..1]).await, success());
            system.customer("alice").cancels(&ids[0]).await;
            let records = system.stream_records().await;

            // A gap, so that all kinds of calls are made: the third order's first record does not come.
            let batch = [&records[..2], &records[3..]].concat();
            system.interceptor.inject_after(ANY_OPERATION, call, fault, 1);
            let struck = tokio::select! {
                () = system.interceptor.fault_injected() => true,
                answer = system.deliver(&batch) => { assert_eq!(answer, success()); false }
            };
            system.interceptor.clear_faults();
            system.check_counters().await;
            assert_eq!(system.deliver(&batch).await, success());
            system.check_read_models().await;
            if !struck {
                assert!(call >= 3, "the batch reads views, heals a gap and writes");
                break;
            }
        }
    }
}

#[tokio::test]
async fn two_projectors_at_once_count_nothing_twice() {
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
async fn a_batch_of_more_orders_than_a_transaction_takes_is_cut() {
    let system = System::start().await;
    let alice = system.customer("alice");
    for number in 0..250 {
        alice.places_order(&format!("order-{number}")).await;
    }
    assert_eq!(system.deliver(&system.stream_records().await).await, success());
    system.check_read_models().await;
}
