//! Commands and queries when DynamoDB fails.

use local::engine::interceptor::Fault;
use serde_json::json;

use crate::harness::{System, event, order, shipment};

#[tokio::test]
async fn short_faults_are_retried_and_the_client_sees_none_of_them() {
    let system = System::start().await;
    for fault in [Fault::Throttled, Fault::ServerError, Fault::RequestDropped] {
        system.interceptor.inject("PutItem", fault, 2);
        let answer = system.customer("alice").post("/orders").json(&order()).await.expect(201);
        assert_eq!(answer.header("idempotency-replayed"), None);
    }
}

#[tokio::test]
async fn lasting_throttling_gets_503_before_the_deadline() {
    let system = System::start().await;
    let alice = system.customer("alice");
    system.interceptor.inject("PutItem", Fault::Throttled, usize::MAX);
    let request = || alice.post("/orders").json(&order()).header("Idempotency-Key", "key");
    let refused = request().await.expect_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    system.interceptor.clear_faults();
    assert_eq!(request().await.expect(201).header("idempotency-replayed"), None);
}

#[tokio::test]
async fn a_command_without_time_left_makes_no_call() {
    let system = System::start().await;
    let claims = json!({ "jwt": { "claims": { "sub": "alice", "scope": "orders/write" }, "scopes": null } });
    let request = event("POST", "/orders", claims, &order().to_string());
    // The timeout is ten seconds, so 400 ms are left.
    let invoked_at = system.stack.app.dynamo.environment.now().as_millisecond() - 9_600;
    let answer = system.stack.function("command").unwrap().invoke(request, invoked_at).await.unwrap();
    assert_eq!((&answer["statusCode"], &answer["headers"]["retry-after"]), (&json!(503), &json!("1")));
    assert_eq!(system.interceptor.take_costs(), []);
}

#[tokio::test]
async fn a_write_whose_response_is_dropped_is_not_a_conflict() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.interceptor.inject("PutItem", Fault::ResponseDropped, 1);
    assert_eq!(system.fulfilment().ships(&id).await, 2);
    system.interceptor.inject("PutItem", Fault::ResponseDropped, 1);
    let placed = system.customer("alice").post("/orders").json(&order()).await.expect(201);
    assert_eq!(placed.header("idempotency-replayed"), None);
    let history = system.operator().get(format!("/orders/{id}/events")).await.expect(200);
    assert_eq!(history.document["events"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_unknown_outcome_is_resolved_by_sending_the_command_again() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let warehouse = system.fulfilment();
    let request = || warehouse.post(format!("/orders/{id}/ship")).json(&shipment()).header("Idempotency-Key", "ship");
    system.interceptor.inject("PutItem", Fault::ResponseDropped, usize::MAX);
    let unknown = request().await.expect_problem(503, "outcome-unknown");
    assert_eq!(unknown.header("retry-after"), Some("1"));
    system.interceptor.clear_faults();
    let resolved = request().await.expect(200);
    assert_eq!((resolved.version(), resolved.header("idempotency-replayed")), (2, Some("true")));
}

#[tokio::test]
async fn a_permanent_error_gets_500_without_details() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.interceptor.inject("PutItem", Fault::AccessDenied, 1);
    let answer = system.customer("alice").post("/orders").json(&order()).await.expect_problem(500, "internal");
    assert!(!answer.document.to_string().contains("ccess"));
    system.interceptor.inject("GetItem", Fault::AccessDenied, 1);
    system.operator().get(format!("/orders/{id}")).await.expect_problem(500, "internal");
    let tables = &system.stack.app.tables;
    system.stack.app.dynamo.client.delete_table().table_name(&*tables.get("dashboard").unwrap()).send().await.unwrap();
    system.operator().get("/dashboard").await.expect_problem(500, "internal");
}

#[tokio::test]
async fn a_query_that_cannot_read_gets_503() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.interceptor.inject("Query", Fault::RequestDropped, usize::MAX);
    system.operator().get(format!("/orders/{id}/events")).await.expect_problem(503, "unavailable");
    system.operator().post(format!("/orders/{id}/deliver")).await.expect_problem(503, "unavailable");
}

#[tokio::test]
async fn recorded_times_never_go_back_with_the_clock() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.clock.advance_ms(-3_600_000);
    system.fulfilment().ships(&id).await;
    let history = system.operator().get(format!("/orders/{id}/events")).await.expect(200);
    let time = |at: usize| history.document["events"][at]["recorded_at"].as_str().unwrap().to_owned();
    assert_eq!(time(0), time(1));
}

#[tokio::test]
async fn no_command_is_decided_on_an_unreadable_stream() {
    for (event_type, schema, data) in [
        ("order.lost", 1, json!({})),
        ("order.shipped", 2, json!({ "carrier": "DHL", "tracking_number": "1" })),
        ("order.shipped", 1, json!({ "carrier": 5 })),
    ] {
        let system = System::start().await;
        let id = system.customer("alice").places_order("first").await;
        system.append_raw(&id, 2, json!([{ "type": event_type, "schema": schema, "data": data }])).await;
        system.operator().post(format!("/orders/{id}/deliver")).await.expect_problem(500, "internal");
        system.operator().get(format!("/orders/{id}/events")).await.expect_problem(500, "internal");
    }
}

#[tokio::test]
async fn no_command_is_decided_on_a_stream_with_a_missing_version() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.append_raw(&id, 3, json!([{ "type": "order.delivered", "schema": 1, "data": {} }])).await;
    system.operator().post(format!("/orders/{id}/deliver")).await.expect_problem(500, "internal");
}
