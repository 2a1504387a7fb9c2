//! What a request costs, as DynamoDB counts it: `ReturnConsumedCapacity` of every call.

use crate::harness::System;

fn spent(system: &System) -> Vec<(String, f64)> {
    system.wire.spent()
}

fn calls(calls: &[(&str, f64)]) -> Vec<(String, f64)> {
    calls.iter().map(|(operation, units)| ((*operation).to_owned(), *units)).collect()
}

#[tokio::test]
async fn an_accepted_command_costs_one_write_unit_and_placing_reads_nothing() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    assert_eq!(spent(&system), calls(&[("PutItem", 1.0)]));
    system.fulfilment().ships(&id).await;
    assert_eq!(spent(&system), calls(&[("Query", 1.0), ("PutItem", 1.0)]));
    system.operator().post(format!("/orders/{id}/deliver")).await.expect(200);
    assert_eq!(spent(&system), calls(&[("Query", 1.0), ("PutItem", 1.0)]));
}

#[tokio::test]
async fn a_repeat_costs_a_write_that_fails_or_one_query() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    alice.cancels(&id).await;
    spent(&system);
    alice.places_order("first").await;
    // The engine gives no capacity with a condition that fails. On AWS it costs one write unit.
    assert_eq!(spent(&system), calls(&[]));
}

#[tokio::test]
async fn projecting_costs_a_transaction_and_from_version_2_on_one_read() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    spent(&system);
    system.project().await;
    // 2 for the view, 1 for its index, 2 for each of two rows.
    assert_eq!(spent(&system), calls(&[("TransactWriteItems", 7.0)]));
    system.fulfilment().ships(&id).await;
    spent(&system);
    system.project().await;
    // 2 for the view, 1 for its index, 2 for the one row that changes.
    assert_eq!(spent(&system), calls(&[("BatchGetItem", 1.0), ("TransactWriteItems", 5.0)]));
}

#[tokio::test]
async fn many_orders_share_the_rows_of_one_transaction() {
    let system = System::start().await;
    for number in 0..50 {
        system.customer("alice").places_order(&format!("order-{number}")).await;
    }
    spent(&system);
    system.project().await;
    assert_eq!(spent(&system), calls(&[("TransactWriteItems", 50.0 * 3.0 + 4.0)]));
}

#[tokio::test]
async fn a_query_costs_half_a_read_unit_and_the_dashboard_its_lanes() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    system.project().await;
    spent(&system);
    alice.get(format!("/orders/{id}")).await.expect(200);
    assert_eq!(spent(&system), calls(&[("GetItem", 0.5)]));
    alice.get(format!("/orders/{id}?min_version=1")).await.expect(200);
    assert_eq!(spent(&system), calls(&[("GetItem", 0.5)]));
    alice.get("/customers/alice/orders").await.expect(200);
    assert_eq!(spent(&system), calls(&[("Query", 0.5)]));
    alice.get(format!("/customers/alice/orders?min_version={id}:1")).await.expect(200);
    assert_eq!(spent(&system), calls(&[("Query", 0.5)]));
    system.operator().get("/dashboard").await.expect(200);
    let dashboard = spent(&system);
    assert_eq!(dashboard[0], ("TransactGetItems".to_owned(), 8.0));
    assert_eq!(dashboard[1..], calls(&[("Query", 0.5), ("Query", 0.5), ("Query", 0.5), ("Query", 0.5)]));
}
