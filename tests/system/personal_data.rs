//! Invariant I11: logs, metrics and problem documents contain no personal data. Every test checks this (see
//! `harness::canary`). This test causes as many messages as possible.

use local::engine::interceptor::Fault;
use serde_json::json;

use crate::harness::{System, canary, cancellation, order, shipment};

#[tokio::test]
async fn no_log_metric_or_problem_contains_personal_data() {
    let system = System::start().await;
    let (alice, warehouse) = (system.customer("alice"), system.fulfilment());
    let id = alice.places_order("alice-key").await;

    // Refusals because of the personal data.
    let mut wrong = order();
    wrong["shipping_address"] = json!("1 Main Street\u{0}");
    wrong["note"] = json!("changed my mind");
    alice.post("/orders").json(&wrong).await.expect(422);
    alice.post("/orders").body("{\"customer_id\": alice, \"1 Main Street\"").await.expect(400);
    alice.post("/orders").json(&json!({ "customer_id": "alice bob" })).await.expect(422);
    alice.post(format!("/orders/{id}/cancel")).json(&json!({ "reason": "changed my mind\u{7}" })).await.expect(422);
    alice.get("/customers/alice/orders?cursor=alice").await.expect(400);
    alice.get("/customers/bob/orders").await.expect(403);
    warehouse.post(format!("/orders/{id}/ship")).json(&shipment()).header("If-Match", "\"9\"").await.expect(412);

    // Failures at each kind of call.
    for (operation, fault) in
        [("PutItem", Fault::AccessDenied), ("PutItem", Fault::ResponseDropped), ("Query", Fault::ServerError)]
    {
        system.interceptor.inject(operation, fault, 100);
        let answer = alice.post(format!("/orders/{id}/cancel")).json(&cancellation()).await;
        assert!(answer.status >= 500, "{operation}");
        alice.post("/orders").json(&order()).header("Idempotency-Key", "alice-2").await;
        system.interceptor.clear_faults();
    }

    // An unreadable commit with personal data.
    let data = json!({ "customer_id": "alice", "shipping_address": "1 Main Street, Springfield", "items": "alice" });
    system.append_raw("poison", 1, json!([{ "type": "order.placed", "schema": 1, "data": data }])).await;
    let records = system.stream_records().await;
    system.deliver(&records).await;
    alice.get("/orders/poison/events").await;

    for line in ["DynamoDB denied a request", "the outcome of a write is unknown", "is corrupt at version 1"] {
        assert!(canary::count_lines(line) > 0, "{line}");
    }
    canary::assert_clean();
}
