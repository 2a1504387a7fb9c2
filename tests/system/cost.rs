//! The capacity units of requests, as DynamoDB reports them (`ReturnConsumedCapacity`).

use ::maintain::{rebuild::rebuild, segments::Checkpoint};
use domains::Domains;

use crate::harness::System;

/// Compares the calls since the last check with the expected calls and units.
///
/// The calls are equal on every engine. The units are compared only on the embedded engine, which counts as AWS does:
/// see `engines::dynamodb_local_counts_units_differently`.
#[track_caller]
fn expect_costs(system: &System, expected: &[(&str, f64)]) {
    let mut costs = system.interceptor.take_costs();
    if !system.stack.engine().is_embedded() {
        costs.iter_mut().zip(expected).for_each(|((_, units), (_, expected))| *units = *expected);
    }
    let expected: Vec<_> = expected.iter().map(|(operation, units)| ((*operation).to_owned(), *units)).collect();
    assert_eq!(costs, expected);
}

#[tokio::test]
async fn an_accepted_command_costs_one_write_unit_and_placing_reads_nothing() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    expect_costs(&system, &[("PutItem", 1.0)]);
    system.fulfilment().ships(&id).await;
    expect_costs(&system, &[("Query", 1.0), ("PutItem", 1.0)]);
    system.operator().post(format!("/orders/{id}/deliver")).await.expect(200);
    expect_costs(&system, &[("Query", 1.0), ("PutItem", 1.0)]);
}

#[tokio::test]
async fn a_repeated_placement_costs_a_failed_write_and_no_read() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    alice.cancels(&id).await;
    system.interceptor.take_costs();
    alice.places_order("first").await;
    // The engine reports no capacity for a failed condition. On AWS it costs one write unit.
    expect_costs(&system, &[]);
}

#[tokio::test]
async fn projecting_costs_a_transaction_and_from_version_2_on_one_read() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.interceptor.take_costs();
    system.project().await;
    // 2 for the view, 1 for its index, 2 for each of two rows. A process also reads the generations of the counters,
    // once in five seconds.
    expect_costs(&system, &[("GetItem", 1.0), ("TransactWriteItems", 7.0)]);
    system.fulfilment().ships(&id).await;
    system.interceptor.take_costs();
    system.project().await;
    // 2 for the view, 1 for its index, 2 for the one row that changes.
    expect_costs(&system, &[("BatchGetItem", 1.0), ("TransactWriteItems", 5.0)]);
}

#[tokio::test]
async fn many_orders_share_the_counter_rows_of_one_transaction() {
    let system = System::start().await;
    for number in 0..50 {
        system.customer("alice").places_order(&format!("order-{number}")).await;
    }
    system.interceptor.take_costs();
    system.project().await;
    expect_costs(&system, &[("GetItem", 1.0), ("TransactWriteItems", 50.0 * 3.0 + 4.0)]);
}

#[tokio::test]
async fn a_query_costs_half_a_read_unit_and_the_dashboard_reads_all_shards() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    system.project().await;
    system.interceptor.take_costs();
    alice.get(format!("/orders/{id}")).await.expect(200);
    expect_costs(&system, &[("GetItem", 0.5)]);
    alice.get(format!("/orders/{id}?min_version=1")).await.expect(200);
    expect_costs(&system, &[("GetItem", 0.5)]);
    alice.get("/customers/alice/orders").await.expect(200);
    expect_costs(&system, &[("Query", 0.5)]);
    alice.get(format!("/customers/alice/orders?min_version={id}:1")).await.expect(200);
    expect_costs(&system, &[("Query", 0.5)]);
    system.operator().get("/dashboard").await.expect(200);
    let shards = ("Query", 0.5);
    expect_costs(&system, &[("TransactGetItems", 8.0), shards, shards, shards, shards]);
}

#[tokio::test]
async fn a_rebuild_reads_view_and_stream_of_an_order_and_writes_the_view_if_it_is_stale() {
    let system = System::start().await;
    let ids = ["1", "2", "3"].map(|key| async { system.customer("alice").places_order(key).await });
    let ids = futures_util::future::join_all(ids).await;
    system.project().await;
    system.publish().await;
    system.interceptor.take_costs();
    let app = &system.stack.app;
    rebuild::<Domains>(app, Checkpoint::start(1), |_, _| {}).await.unwrap();
    // 1 for the view, and 1 for its index, which contains a changed attribute.
    let (views, stream, view) = (("BatchGetItem", 3.0), ("Query", 1.0), ("PutItem", 2.0));
    // The views are scanned, and the first commit of each is read, to find views without a stream.
    let (commits, all_views, first_commits) = (("Scan", 0.5), ("Scan", 1.0), ("BatchGetItem", 3.0));
    // The positions of the publisher are read with eventual consistency, and scanned like views. A scan of an empty
    // table costs a unit, too.
    let (positions, all_positions, empty) = (("BatchGetItem", 1.5), ("Scan", 1.0), ("Scan", 1.0));
    let streams = [stream; 3];
    let publications = [&[positions], &streams[..], &[empty, all_positions, first_commits, empty]].concat();
    let scans = [commits, all_views, first_commits, views];
    expect_costs(&system, &[&scans, &streams[..], &publications].concat());
    for id in &ids {
        system.make_stale(id).await;
    }
    system.interceptor.take_costs();
    rebuild::<Domains>(app, Checkpoint::start(1), |_, _| {}).await.unwrap();
    expect_costs(&system, &[&scans, &streams[..], &[view; 3], &publications].concat());
}
