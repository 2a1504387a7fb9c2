//! The examples of the README.

use serde_json::json;

use crate::harness::{System, cancellation, order, shipment};

#[tokio::test]
async fn an_order_goes_from_placed_to_delivered_and_every_query_shows_it() {
    let system = System::start().await;
    let (alice, warehouse) = (system.customer("alice"), system.fulfilment());

    let placed = alice.post("/orders").json(&order()).header("Idempotency-Key", "first").await.expect(201);
    let id = placed.text("order_id");
    assert_eq!(placed.document, json!({ "order_id": id, "status": "accepted", "version": 1 }));
    assert_eq!(placed.header("location"), Some(format!("/orders/{id}").as_str()));
    assert_eq!(placed.header("etag"), Some("\"1\""));
    assert_eq!(placed.header("idempotency-replayed"), None);

    let shipped = warehouse.post(format!("/orders/{id}/ship")).json(&shipment()).await.expect(200);
    assert_eq!(shipped.document, json!({ "order_id": id, "status": "accepted", "version": 2 }));
    assert_eq!((shipped.header("etag"), shipped.header("location")), (Some("\"2\""), None));
    assert_eq!(warehouse.post(format!("/orders/{id}/deliver")).await.expect(200).version(), 3);
    system.project().await;

    let shown = alice.get(format!("/orders/{id}")).await.expect(200);
    assert_eq!(shown.header("etag"), Some("\"3-s1\""));
    let time = |field: &str| shown.text(field);
    assert_eq!(
        shown.document,
        json!({
            "order_id": id, "customer_id": "alice", "status": "delivered", "currency": "EUR", "total": 2800,
            "item_count": 3, "items": order()["items"], "shipping_address": "1 Main Street, Springfield",
            "placed_at": time("placed_at"), "shipped_at": time("shipped_at"), "delivered_at": time("delivered_at"),
            "updated_at": time("delivered_at"), "carrier": "DHL", "tracking_number": "JD0123456789", "version": 3,
        })
    );
    let listed = alice.get("/customers/alice/orders").await.expect(200);
    assert_eq!(
        listed.document,
        json!({
            "orders": [{
                "order_id": id, "status": "delivered", "currency": "EUR", "total": 2800, "item_count": 3,
                "placed_at": time("placed_at"), "version": 3,
            }],
            "next_cursor": null,
        })
    );
    let dashboard = system.operator().get("/dashboard?days=1").await.expect(200);
    assert_eq!(
        dashboard.document,
        json!({
            "orders": 1, "by_status": { "placed": 0, "shipped": 0, "delivered": 1, "cancelled": 0 },
            "revenue": { "EUR": "2800" },
            "days": [{ "date": "2026-11-22", "orders": 1, "revenue": { "EUR": "2800" } }],
        })
    );
}

#[tokio::test]
async fn a_cancelled_order_shows_its_reason_and_adds_no_revenue() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    alice.post(format!("/orders/{id}/cancel")).json(&cancellation()).await.expect(200);
    system.project().await;

    let shown = alice.get(format!("/orders/{id}")).await.expect(200);
    assert_eq!((shown.text("status"), shown.text("cancel_reason")), ("cancelled".into(), "changed my mind".into()));
    let dashboard = system.operator().get("/dashboard").await.expect(200);
    assert_eq!(dashboard.document["revenue"], json!({}));
    assert_eq!(dashboard.document["by_status"]["cancelled"], 1);
}

#[tokio::test]
async fn the_history_of_an_order_shows_what_happened_in_order() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.fulfilment().ships(&id).await;

    let history = system.customer("alice").get(format!("/orders/{id}/events")).await.expect(200);
    assert!(history.header("etag").unwrap().starts_with("\"2-e"));
    let events = history.document["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| (event["version"].as_u64().unwrap(), &event["type"])).collect();
    assert_eq!(kinds, [(1, &json!("order.placed")), (2, &json!("order.shipped"))]);
    assert_eq!(events[1]["data"], shipment());
}

#[tokio::test]
async fn a_rejected_command_gets_409_with_the_status_of_the_order() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    system.fulfilment().ships(&id).await;

    let refused = alice.post(format!("/orders/{id}/cancel")).json(&cancellation()).await;
    let refused = refused.expect_problem(409, "already-shipped");
    assert_eq!((refused.text("order_status"), refused.version()), ("shipped".to_owned(), 2));
    let refused = system.fulfilment().post(format!("/orders/{id}/ship")).json(&shipment()).await;
    refused.expect_problem(409, "already-shipped");
    system.fulfilment().post(format!("/orders/{id}/deliver")).await.expect(200);
    let refused = system.fulfilment().post(format!("/orders/{id}/deliver")).await;
    refused.expect_problem(409, "already-delivered");
}

#[tokio::test]
async fn health_returns_200_when_the_system_is_ready() {
    System::start().await.operator().get("/health").await.expect(200);
}
