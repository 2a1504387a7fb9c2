//! Queries show the caller's own writes while the projector does not run.

use serde_json::json;

use crate::harness::System;

#[tokio::test]
async fn a_new_order_is_shown_at_once() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    let shown = alice.get(format!("/orders/{id}")).await.expect(200);
    assert_eq!((shown.text("status"), shown.header("etag")), ("placed".to_owned(), Some("\"1\"")));
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
