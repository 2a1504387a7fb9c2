//! Concurrent commands.

use std::{collections::BTreeMap, future::IntoFuture};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{System, cancellation, order, shipment};

#[tokio::test]
async fn fifty_identical_requests_leave_one_commit_and_get_one_answer() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let request = || async { alice.post("/orders").json(&order()).header("Idempotency-Key", "key").await.expect(201) };
    let answers = join_all((0..50).map(|_| request())).await;
    let id = answers[0].text("order_id");
    for answer in &answers {
        assert_eq!(answer.document, answers[0].document);
        assert_eq!(answer.header("location"), answers[0].header("location"));
        assert_eq!(answer.header("etag"), answers[0].header("etag"));
    }
    let firsts = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count();
    assert_eq!(firsts, 1);

    let cancel = || async {
        let request = alice.post(format!("/orders/{id}/cancel")).json(&cancellation()).header("Idempotency-Key", "no");
        request.await.expect(200).version()
    };
    assert_eq!(join_all((0..50).map(|_| cancel())).await, [2; 50]);
    let history = alice.get(format!("/orders/{id}/events")).await.expect(200);
    assert_eq!(history.document["events"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn of_two_racing_commands_one_wins_and_the_other_is_decided_again() {
    let system = System::start().await;
    let (alice, warehouse) = (system.customer("alice"), system.fulfilment());
    for round in 0..10 {
        let id = alice.places_order(&format!("order {round}").replace(' ', "-")).await;
        let (ship, cancel) = tokio::join!(
            warehouse.post(format!("/orders/{id}/ship")).json(&shipment()).into_future(),
            alice.post(format!("/orders/{id}/cancel")).json(&cancellation()).into_future(),
        );
        match (ship.status, cancel.status) {
            (200, 409) => drop(cancel.expect_problem(409, "already-shipped")),
            (409, 200) => drop(ship.expect_problem(409, "already-cancelled")),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_command_that_keeps_losing_races_gets_503_contended() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    // Every attempt meets an existing commit.
    system.interceptor.rewrite("PutItem", |body| body["Item"]["version"]["N"] = "1".into());
    let refused = system.fulfilment().post(format!("/orders/{id}/ship")).json(&shipment()).await;
    assert_eq!(refused.expect_problem(503, "contended").header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_command_with_an_outdated_if_match_changes_nothing() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let warehouse = system.fulfilment();
    let request = |command: &str, tag: &str| {
        warehouse.post(format!("/orders/{id}/{command}")).json(&json!({})).header("If-Match", tag)
    };
    let ship = |tag: &str| request("ship", tag).json(&shipment());
    let stale = ship("\"2\"").await.expect_problem(412, "version-mismatch");
    assert_eq!(stale.version(), 1);
    ship("\"1\"").await.expect(200);
    request("deliver", "\"1\"").await.expect_problem(412, "version-mismatch");
    request("deliver", "*").await.expect(200);
}

#[tokio::test]
async fn two_hundred_orders_by_twenty_clients_end_in_views_that_equal_their_history() {
    let system = System::start().await;
    let clients = (0..20).map(|client| {
        let system = &system;
        async move {
            let (customer, warehouse) = (system.customer(&format!("customer-{client}")), system.fulfilment());
            for number in 0..10 {
                let placed = customer.send_until_answered("/orders", &order(), &format!("order-{number}")).await;
                let path =
                    |command: &str| format!("/orders/{}/{command}", placed.document["order_id"].as_str().unwrap());
                if [1, 2].contains(&(number % 4)) {
                    warehouse.send_until_answered(&path("ship"), &shipment(), "ship").await.expect(200);
                }
                match number % 4 {
                    2 => drop(warehouse.send_until_answered(&path("deliver"), &json!({}), "deliver").await.expect(200)),
                    3 => {
                        drop(customer.send_until_answered(&path("cancel"), &cancellation(), "cancel").await.expect(200))
                    }
                    _ => {}
                }
            }
        }
    });
    let (_, ()) = tokio::join!(join_all(clients), async {
        for _ in 0..10 {
            system.project().await;
            tokio::task::yield_now().await;
        }
    });
    system.project().await;

    let operator = system.operator();
    let mut by_status: BTreeMap<String, u64> = BTreeMap::new();
    let mut revenue = 0;
    for client in 0..20 {
        let list = operator.get(format!("/customers/customer-{client}/orders")).await.expect(200);
        let rows = list.document["orders"].as_array().unwrap().clone();
        assert_eq!(rows.len(), 10);
        for row in rows {
            let id = row["order_id"].as_str().unwrap();
            let shown = operator.get(format!("/orders/{id}")).await.expect(200);
            let history = operator.get(format!("/orders/{id}/events")).await.expect(200);
            assert_eq!(status_of(&history.document), shown.text("status"));
            assert_eq!(Some(shown.version()), latest(&history.document)["version"].as_u64());
            *by_status.entry(shown.text("status")).or_default() += 1;
            if shown.text("status") != "cancelled" {
                revenue += shown.document["total"].as_u64().unwrap();
            }
        }
    }
    let dashboard = operator.get("/dashboard").await.expect(200).document;
    assert_eq!(dashboard["orders"], 200);
    assert_eq!(dashboard["by_status"], json!(by_status));
    assert_eq!(dashboard["revenue"], json!({ "EUR": revenue.to_string() }));
}

fn latest(history: &Value) -> &Value {
    history["events"].as_array().unwrap().last().unwrap()
}

fn status_of(history: &Value) -> String {
    latest(history)["type"].as_str().unwrap().trim_start_matches("order.").to_owned()
}
