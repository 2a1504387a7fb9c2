//! Invalid input is refused with its cause and position, and nothing is written.

use app::problem::type_uri;
use serde_json::{Value, json};

use crate::harness::{System, TestCaller, cancellation, order, shipment};

/// The order with one field changed, by its JSON pointer.
fn order_with(pointer: &str, value: Value) -> Value {
    let mut order = order();
    match order.pointer_mut(pointer) {
        Some(field) => *field = value,
        None => order[pointer.trim_start_matches('/')] = value,
    }
    order
}

/// Checks invariant I4: the dashboard counts no order.
async fn nothing_was_written(system: &System) {
    system.project().await;
    assert_eq!(system.operator().get("/dashboard").await.expect(200).document["orders"], 0);
}

async fn place(caller: &TestCaller<'_>, body: impl Into<reqwest::Body>) -> crate::harness::TestResponse {
    caller.post("/orders").body(body).await
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let not_utf8 = [&b"{\"currency\": \"\xff\"}"[..]].concat();
    for body in ["", "{", "\u{feff}{}", "NaN", "{\"currency\": 1e400}", "{\"currency\": \"\\ud800\"}", "nothing", &deep]
    {
        place(&alice, body.to_owned()).await.expect_problem(400, "malformed-request");
    }
    place(&alice, not_utf8).await.expect_problem(400, "malformed-request");
    nothing_was_written(&system).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let system = System::start().await;
    let alice = system.customer("alice");
    place(&alice, format!("[{}0]", "0,".repeat(100_000))).await.expect_problem(413, "too-large");
    let whole = order().to_string();
    place(&alice, format!("{whole}{}", " ".repeat(64 * 1024 - whole.len() + 1))).await.expect(413);
    nothing_was_written(&system).await;
    place(&alice, format!("{whole}{}", " ".repeat(64 * 1024 - whole.len()))).await.expect(201);
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json_and_not_be_compressed() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let request = || alice.post("/orders").json(&order());
    for content_type in ["text/plain", "application/xml", ""] {
        request().header("Content-Type", content_type).await.expect_problem(415, "unsupported-media-type");
    }
    request().header("Content-Encoding", "gzip").await.expect_problem(415, "unsupported-media-type");
    nothing_was_written(&system).await;
    request().header("Content-Type", "application/json; charset=utf-8").await.expect(201);
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named_by_its_pointer() {
    let system = System::start().await;
    let alice = system.customer("alice");
    for quantity in ["\"1\"", "-1", "1.5", "1e-2", "9223372036854775808e10", "18446744073709551616", "null", "[]"] {
        let body = order().to_string().replace("\"quantity\":2", &format!("\"quantity\":{quantity}"));
        let refused = place(&alice, body).await.expect_problem(422, "invalid-request");
        assert_eq!(refused.pointers(), ["/items/0/quantity"], "{quantity}");
    }
    for (pointer, value) in [
        ("/currency", json!(null)),
        ("/items", json!({})),
        ("/items/1", json!(["BOOK-1", 1, 1])),
        ("/shipping_address", json!(["1 Main Street"])),
        ("/coupon", json!("FREE")),
    ] {
        let refused = alice.post("/orders").json(&order_with(pointer, value)).await.expect(422);
        assert_eq!(refused.pointers(), [pointer]);
    }
    place(&alice, json!(["EUR", [], "here"]).to_string()).await.expect(422);
    let twice = order().to_string().replacen('{', "{\"currency\":\"USD\",", 1);
    place(&alice, twice).await.expect(422);
    nothing_was_written(&system).await;
}

#[tokio::test]
async fn all_invalid_fields_are_named_in_one_answer() {
    let system = System::start().await;
    let wrong = json!({
        "customer_id": "", "currency": "usd", "shipping_address": "a\u{0}b",
        "items": [
            { "sku": "", "quantity": 0, "unit_price": 1_000_000_000_001_u64 },
            { "sku": "A", "quantity": 1, "unit_price": 1 },
        ],
    });
    let refused = system.operator().post("/orders").json(&wrong).await.expect_problem(422, "invalid-request");
    let all =
        ["/customer_id", "/currency", "/items/0/sku", "/items/0/quantity", "/items/0/unit_price", "/shipping_address"];
    assert_eq!(refused.pointers(), all);
    nothing_was_written(&system).await;
}

#[tokio::test]
async fn every_bound_of_an_order_is_enforced() {
    let system = System::start().await;
    let alice = system.customer("alice");
    let item = json!({ "sku": "A", "quantity": 1, "unit_price": 1 });
    let dear = json!({ "sku": "A", "quantity": 10_000, "unit_price": 1_000_000_000_000_u64 });
    for (pointer, value) in [
        ("/items", json!([])),
        ("/items", json!(vec![item.clone(); 101])),
        ("/items", json!([dear])),
        ("/items/0/sku", json!("A".repeat(1000))),
        ("/items/0/sku", json!("A".repeat(65))),
        ("/items/0/quantity", json!(10_001)),
        ("/currency", json!("XYZ")),
        ("/currency", json!("EURO")),
        ("/shipping_address", json!("A".repeat(501))),
        ("/shipping_address", json!("abc\u{202e}def")),
    ] {
        let refused = alice.post("/orders").json(&order_with(pointer, value)).await.expect(422);
        assert_eq!(refused.pointers(), [pointer]);
    }
    nothing_was_written(&system).await;
    for (pointer, value) in [
        ("/items", json!(vec![item; 100])),
        ("/items/0/sku", json!("A".repeat(64))),
        ("/items/0/unit_price", json!(0)),
        ("/shipping_address", json!("ä".repeat(500))),
    ] {
        alice.post("/orders").json(&order_with(pointer, value)).await.expect(201);
    }
}

#[tokio::test]
async fn the_bodies_of_the_other_commands_are_validated_as_strictly() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let operator = system.operator();
    for (command, body, pointers) in [
        ("ship", json!({}), vec!["/carrier"]),
        ("ship", json!({ "carrier": "", "tracking_number": "" }), vec!["/carrier", "/tracking_number"]),
        ("deliver", json!({ "to": "the door" }), vec!["/to"]),
        ("deliver", json!([]), vec![""]),
        ("cancel", json!({ "reason": "" }), vec!["/reason"]),
        ("cancel", json!({ "reason": "a\nb" }), vec!["/reason"]),
    ] {
        let refused = operator.post(format!("/orders/{id}/{command}")).json(&body).await.expect(422);
        assert_eq!(refused.pointers(), pointers, "{command} {body}");
    }
    operator.post(format!("/orders/{id}/deliver")).body("").await.expect(400);
    assert_eq!(operator.get(format!("/orders/{id}/events")).await.expect(200).document["events"][0]["version"], 1);
}

#[tokio::test]
async fn a_malformed_id_is_not_found() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let operator = system.operator();
    let upper = id.to_uppercase();
    let bare = id.replace('-', "");
    for other in [
        "00000000-0000-0000-0000-000000000000",
        &upper,
        &bare,
        &format!("%7B{id}%7D"),
        &format!("urn:uuid:{id}"),
        &format!("{id}%2F"),
        "%ff",
        "1",
        &format!("{id}%20"),
    ] {
        operator.get(format!("/orders/{other}")).await.expect_problem(404, "not-found");
        operator.get(format!("/orders/{other}/events")).await.expect_problem(404, "not-found");
        operator.post(format!("/orders/{other}/ship")).json(&shipment()).await.expect_problem(404, "not-found");
        operator.post(format!("/orders/{other}/cancel")).json(&cancellation()).await.expect_problem(404, "not-found");
    }
}

#[tokio::test]
async fn an_unknown_route_is_answered_by_the_gateway() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let operator = system.operator();
    for path in ["/", "/order", "/orders/", &format!("/orders/{id}/"), &format!("/{}", "a".repeat(3000))] {
        let answer = operator.get(path).await.expect(404);
        assert_eq!(answer.document, json!({ "message": "Not Found" }), "{path}");
    }
    operator.request(reqwest::Method::DELETE, &format!("/orders/{id}")).await.expect(404);
    operator.get("/orders").await.expect(404);
}

#[tokio::test]
async fn a_malformed_header_is_refused() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let operator = system.operator();
    for key in ["", " ", "\"\"", "a b", "a,b", "\u{e4}", &"k".repeat(256), "\"a"] {
        let request = operator.post("/orders").json(&order()).header("Idempotency-Key", key);
        assert_eq!(request.await.expect(400).document["type"], type_uri("malformed-request"), "{key}");
    }
    let twice = operator.post("/orders").json(&order());
    twice.header_line("Idempotency-Key", "a").header_line("Idempotency-Key", "b").await.expect(400);
    for tag in ["1", "W/\"1\"", "\"1\", \"2\"", "\"one\"", ""] {
        let request = operator.post(format!("/orders/{id}/ship")).json(&shipment()).header("If-Match", tag);
        request.await.expect_problem(400, "malformed-request");
    }
    let request = operator.post("/orders").json(&order()).header("If-Match", "*");
    request.await.expect_problem(400, "malformed-request");
    system.project().await;
    assert_eq!(operator.get("/dashboard").await.expect(200).document["orders"], 1);
}
