//! Queries show the caller's own writes while the projector does not run.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{System, order, shipment};

#[tokio::test]
async fn a_new_order_is_shown_at_once() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    let shown = alice.get(format!("/orders/{id}")).await.expect(200);
    assert_eq!((shown.text("status"), shown.header("etag")), ("placed".to_owned(), Some("\"1-s1\"")));
}

#[tokio::test]
async fn a_changed_order_is_shown_at_its_min_version() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    system.project().await;
    system.fulfilment().ships(&id).await;
    assert_eq!(alice.get(format!("/orders/{id}")).await.expect(200).text("status"), "placed");
    let shown = alice.get(format!("/orders/{id}?min_version=2")).await.expect(200);
    assert_eq!((shown.text("status"), shown.version()), ("shipped".to_owned(), 2));
    alice.get(format!("/orders/{id}?min_version=3")).await.expect_problem(404, "version-not-found");
    // The fold in memory equals the view of the projector.
    system.project().await;
    assert_eq!(alice.get(format!("/orders/{id}")).await.expect(200).document, shown.document);
}

#[tokio::test]
async fn a_read_is_at_least_as_new_as_if_none_match() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    system.project().await;
    let shipped = system.fulfilment().post(format!("/orders/{id}/ship")).json(&shipment()).await.expect(200);
    let path = format!("/orders/{id}");
    let tagged = |tag: &str| alice.get(&path).header("If-None-Match", tag);
    // The view is at version 1. Each caller below has seen version 2.
    let newest = alice.get(format!("{path}?min_version=2")).await.expect(200);
    for tag in [shipped.header("etag").unwrap(), "\"2-s0\"", "W/\"2-s0\", \"1-s1\"", "\"2-s1-behind\""] {
        assert_eq!(tagged(tag).await.expect(200).document, newest.document, "{tag}");
    }
    assert_eq!(tagged(newest.header("etag").unwrap()).await.expect(304).header("etag"), newest.header("etag"));
    // An older tag, or a tag of a version that does not exist, gets the view as it is.
    for tag in ["\"1-s0\"", "\"3-s1\"", "\"other\""] {
        assert_eq!(tagged(tag).await.expect(200).version(), 1, "{tag}");
    }
    let both = alice.get(format!("{path}?min_version=3")).header("If-None-Match", "\"2-s1\"").await;
    both.expect_problem(404, "version-not-found");
}

#[tokio::test]
async fn the_tag_of_any_answer_is_accepted_by_if_match() {
    let system = System::start().await;
    let (alice, warehouse) = (system.customer("alice"), system.fulfilment());
    let placed = alice.post("/orders").json(&order()).await.expect(201);
    let path = format!("/orders/{}", placed.text("order_id"));
    let view = alice.get(&path).await.expect(200);
    let history = alice.get(format!("{path}/events")).await.expect(200);
    let tags = [placed, view, history].map(|answer| answer.header("etag").unwrap().to_owned());
    assert_eq!(BTreeSet::from_iter(&tags).len(), 3, "one tag stands for two bodies: {tags:?}");
    let ship = |tag: &str| warehouse.post(format!("{path}/ship")).json(&shipment()).header("If-Match", tag);
    for stale in ["\"2\"", "\"2-s1\"", "\"0-s1-behind\""] {
        ship(stale).await.expect_problem(412, "version-mismatch");
    }
    for malformed in ["\"1-\"", "\"s1-1\"", "\"1 s1\"", "1-s1"] {
        ship(malformed).await.expect_problem(400, "malformed-request");
    }
    for tag in tags {
        ship(&tag).header("Idempotency-Key", "ship").await.expect(200);
    }
}

#[tokio::test]
async fn a_missing_order_gets_404_at_once() {
    let system = System::start().await;
    let none = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    let operator = system.operator();
    operator.get(format!("/orders/{none}")).await.expect_problem(404, "not-found");
    operator
        .get(format!("/customers/alice/orders?min_version={none}:1"))
        .await
        .expect_problem(404, "version-not-found");
}

#[tokio::test]
async fn a_list_contains_the_new_order_at_its_position() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let first = alice.places_order("1").await;
    system.project().await;
    let second = alice.places_order("2").await;
    let ids = ids_of(&alice.get(format!("/customers/alice/orders?min_version={second}:1")).await.expect(200));
    assert_eq!(ids, [second.clone(), first.clone()]);
    let without = ids_of(&alice.get("/customers/alice/orders").await.expect(200));
    assert_eq!(without, std::slice::from_ref(&first));
    let page = alice.get(format!("/customers/alice/orders?limit=1&min_version={second}:1")).await.expect(200);
    assert_eq!(ids_of(&page), [second]);
    // The next page continues after the last row of this one.
    let cursor = page.text("next_cursor");
    assert_eq!(ids_of(&alice.get(format!("/customers/alice/orders?cursor={cursor}")).await.expect(200)), [first]);
}

#[tokio::test]
async fn a_list_replaces_or_filters_out_the_row_of_a_changed_order() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("1").await;
    let other = alice.places_order("2").await;
    system.project().await;
    alice.cancels(&id).await;
    let list = alice.get(format!("/customers/alice/orders?min_version={id}:2")).await.expect(200);
    assert_eq!(ids_of(&list), [other.clone(), id.clone()]);
    assert_eq!(
        (&list.document["orders"][1]["status"], &list.document["orders"][1]["version"]),
        (&json!("cancelled"), &json!(2))
    );
    let placed = alice.get(format!("/customers/alice/orders?status=placed&min_version={id}:2")).await.expect(200);
    assert_eq!(ids_of(&placed), [other]);
    let cancelled = alice.get(format!("/customers/alice/orders?status=cancelled&min_version={id}:2")).await.expect(200);
    assert_eq!(ids_of(&cancelled), std::slice::from_ref(&id));
    let beyond = alice.get(format!("/customers/alice/orders?min_version={id}:3")).await;
    beyond.expect_problem(404, "version-not-found");
}

#[tokio::test]
async fn an_order_of_another_customer_is_not_added_to_a_list() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("1").await;
    let list = system.customer("bob").get(format!("/customers/bob/orders?min_version={id}:1")).await;
    list.expect_problem(404, "version-not-found");
}

fn ids_of(list: &crate::harness::TestResponse) -> Vec<String> {
    let rows = list.document["orders"].as_array().unwrap();
    rows.iter().map(|row| row["order_id"].as_str().unwrap().to_owned()).collect()
}
