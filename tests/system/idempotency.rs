//! A repeated command is executed once, and gets its first answer again.

use serde_json::json;

use crate::harness::{System, TestResponse, cancellation, order, shipment};

fn is_replayed(answer: &TestResponse) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

async fn commits(system: &System, order_id: &str) -> usize {
    let history = system.operator().get(format!("/orders/{order_id}/events")).await.expect(200);
    history.document["events"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_repeated_placement_returns_the_first_order() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let place = |body: String, key| alice.post("/orders").body(body).header("Idempotency-Key", key);
    let first = place(order().to_string(), "key").await.expect(201);
    let spaced = serde_json::to_string_pretty(&order()).unwrap();
    let mine = json!({
        "shipping_address": order()["shipping_address"], "items": order()["items"], "currency": "EUR",
        "customer_id": "alice",
    });
    for (body, key) in [(order().to_string(), "key"), (spaced, "\"key\""), (mine.to_string(), " key ")] {
        let again = place(body, key).await.expect(201);
        assert!(is_replayed(&again) && !is_replayed(&first));
        assert_eq!(again.document, first.document);
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(again.header("etag"), first.header("etag"));
    }
    assert_eq!(commits(&system, &first.text("order_id")).await, 1);
}

#[tokio::test]
async fn a_repeated_command_gets_its_first_answer_after_later_commands() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let warehouse = system.fulfilment();
    let ship = || warehouse.post(format!("/orders/{id}/ship")).json(&shipment()).header("Idempotency-Key", "ship");
    assert_eq!(ship().await.expect(200).version(), 2);
    warehouse.post(format!("/orders/{id}/deliver")).await.expect(200);

    let again = ship().await.expect(200);
    assert!(is_replayed(&again));
    assert_eq!((again.version(), again.header("etag")), (2, Some("\"2\"")));
    // A repeat is detected before If-Match is checked.
    assert!(is_replayed(&ship().header("If-Match", "\"1\"").await.expect(200)));
    assert_eq!(commits(&system, &id).await, 3);
}

#[tokio::test]
async fn a_key_with_another_command_is_refused() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("key").await;
    let mut other = order();
    other["shipping_address"] = json!("2 Main Street");
    let place = alice.post("/orders").json(&other).header("Idempotency-Key", "key");
    place.await.expect_problem(422, "idempotency-key-reused");
    let cancel = |key| alice.post(format!("/orders/{id}/cancel")).json(&cancellation()).header("Idempotency-Key", key);
    cancel("key").await.expect_problem(422, "idempotency-key-reused");
    cancel("other").await.expect(200);

    let mut otherwise = cancellation();
    otherwise["reason"] = json!("too slow");
    let cancel = alice.post(format!("/orders/{id}/cancel")).json(&otherwise).header("Idempotency-Key", "other");
    cancel.await.expect_problem(422, "idempotency-key-reused");
    assert_eq!(commits(&system, &id).await, 2);
}

#[tokio::test]
async fn a_refused_command_can_be_corrected_with_the_same_key() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let place = |body| alice.post("/orders").json(&body).header("Idempotency-Key", "key");
    place(json!({})).await.expect(422);
    assert!(!is_replayed(&place(order()).await.expect(201)));
}

#[tokio::test]
async fn two_callers_can_use_the_same_key() {
    let system = System::start().await;
    let (alices, bobs) =
        (system.customer("alice").places_order("key").await, system.customer("bob").places_order("key").await);
    assert_ne!(alices, bobs);
    system.customer("bob").get(format!("/orders/{alices}")).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn placements_without_a_key_create_separate_orders() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let first = alice.post("/orders").json(&order()).await.expect(201);
    let second = alice.post("/orders").json(&order()).await.expect(201);
    assert_ne!(first.text("order_id"), second.text("order_id"));
}

/// Stored fingerprints are compared with those of new requests for ever, so they must not change.
#[tokio::test]
async fn the_ids_and_fingerprints_of_a_request_never_change() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("key").await;
    assert_eq!(id, "1071d4df-272e-8278-8a08-6de2ec7d4094");
    alice.post(format!("/orders/{id}/cancel")).json(&cancellation()).header("Idempotency-Key", "no").await.expect(200);
    let stream = cqrs::StreamId::of::<orders::OrderEvent>(&id);
    let commits = system.stack.app.events().unwrap().load::<orders::OrderEvent>(&stream).await.unwrap();
    let golden: Vec<_> = commits.iter().map(|c| (c.command_id.to_string(), c.fingerprint.to_string())).collect();
    let expected = [
        ("033db4d3-7b93-8d88-8bd6-5a21499dbc30", "2:47b78d95a0b538efe59890af2a29dc6c053c4c731c1ed1a69ad32bc266d1c0ee"),
        ("9ee15de0-8868-81d3-994e-9a64df75024f", "2:d51b06be163d1ebce124bf4ba6181b0e843cfcdf7bf5500967995c190665148a"),
    ];
    assert_eq!(golden, expected.map(|(id, fingerprint)| (id.to_owned(), fingerprint.to_owned())));
}
