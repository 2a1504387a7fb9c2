//! Authentication and authorization.

use local::authorizer::Authorizer;
use serde_json::json;

use crate::harness::{FAR_FUTURE, System, TestCaller, cancellation, engine, event, order, shipment};

/// Every declared route × every declared scope and every kind of token, with `--auth`. The path names the caller, so that
/// the ownership of a resource refuses nobody.
#[tokio::test]
async fn each_declared_route_admits_exactly_its_scopes() {
    let required = Authorizer::new().unwrap().required(true);
    let system = System::start_behind(required, engine(), |mapping| mapping).await;
    let deployment = &system.stack.deployment;
    let caller = "27debfb8-bd42-8131-9d45-532727018fe6";
    let all = deployment.operator_scopes();
    let forged = Authorizer::new().unwrap().token(caller, &all, FAR_FUTURE).unwrap();
    let expired = system.stack.authorizer.token(caller, &all, 1).unwrap();
    for route in deployment.routes() {
        let segment = |segment: &'static str| if segment.starts_with('{') { caller } else { segment };
        let path: Vec<&str> = route.path.split('/').map(segment).collect();
        let path = &path.join("/");
        let send = async |caller: TestCaller<'_>| match route.method.as_str() {
            "POST" => caller.post(path).await,
            _ => caller.get(path).await,
        };
        for scope in all.split(' ').chain(["openid", "orders/writer", ""]) {
            let is_admitted = route.scopes.iter().any(|admitted| admitted.as_str() == scope);
            let answer = send(system.caller(caller, scope)).await;
            assert_eq!(answer.status != 403, is_admitted, "{} {path} with {scope:?}: {}", route.method, answer.status);
        }
        let invalid = [expired.clone(), forged.clone(), "x.y.z".to_owned()].map(|token| system.bearer(token));
        for caller in invalid.into_iter().chain([system.operator()]) {
            let answer = send(caller).await;
            assert_eq!((answer.status, &answer.document), (401, &json!({ "message": "Unauthorized" })), "{path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

/// Every route × every kind of caller. Bodies are empty documents, so an authorized command gets 422, or 409 because of
/// the order's status.
#[tokio::test]
async fn an_order_is_open_to_its_owner_and_to_the_staff() {
    let required = Authorizer::new().unwrap().required(true);
    let system = System::start_behind(required, engine(), |mapping| mapping).await;
    let id = system.customer("alice").places_order("first").await;
    system.project().await;
    let routes = [
        ("POST", "/orders".to_owned()),
        ("POST", format!("/orders/{id}/ship")),
        ("POST", format!("/orders/{id}/deliver")),
        ("POST", format!("/orders/{id}/cancel")),
        ("GET", format!("/orders/{id}")),
        ("GET", format!("/orders/{id}/events")),
        ("GET", "/customers/alice/orders".to_owned()),
        ("GET", "/dashboard".to_owned()),
    ];
    let own = |sub, scope| system.caller(sub, scope);
    for (who, caller, expected) in [
        ("the owner", own("alice", "orders/write orders/read"), [422, 403, 403, 422, 200, 200, 200, 403]),
        ("another customer", own("bob", "orders/write orders/read"), [422, 403, 403, 422, 404, 404, 403, 403]),
        ("fulfilment", own("warehouse", "orders/fulfil"), [403, 422, 409, 403, 200, 200, 200, 403]),
        ("an administrator", own("root", "orders/admin"), [422, 422, 409, 422, 200, 200, 200, 200]),
        ("the owner without the scope to write", own("alice", "orders/read"), [403, 403, 403, 403, 200, 200, 200, 403]),
        ("the owner without the scope to read", own("alice", "orders/write"), [422, 403, 403, 422, 403, 403, 403, 403]),
    ] {
        let mut got = Vec::new();
        for (method, path) in &routes {
            let request = if *method == "POST" { caller.post(path) } else { caller.get(path) };
            let answer = request.await;
            got.push(answer.status);
        }
        assert_eq!(got, expected, "{who}");
    }
}

/// A caller with the right scopes cannot command another customer's order.
#[tokio::test]
async fn a_command_on_another_customers_order_is_not_found_or_forbidden() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let bob = system.customer("bob");
    bob.post(format!("/orders/{id}/cancel")).json(&cancellation()).await.expect_problem(404, "not-found");
    bob.post(format!("/orders/{id}/ship")).json(&shipment()).await.expect(403);
    bob.post(format!("/orders/{id}/deliver")).await.expect(403);
    assert_eq!(system.streams().await.values().map(Vec::len).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn the_issuer_publishes_its_key_and_issues_tokens_to_everybody() {
    let required = Authorizer::new().unwrap().required(true);
    let system = System::start_behind(required, engine(), |mapping| mapping).await;
    let keys = system.operator().get("/.well-known/jwks.json").await.expect(200).document;
    assert_eq!((&keys["keys"][0]["kty"], &keys["keys"][0]["alg"]), (&json!("OKP"), &json!("EdDSA")));
    let body = json!({ "sub": "root", "scope": "orders/admin", "expires_in": 4_000_000_000_i64 });
    let token = system.operator().post("/token").json(&body).await.expect(200).text("access_token");
    system.bearer(token).get("/dashboard").await.expect(200);
    system.operator().post("/token").json(&json!({ "sub": "root" })).await.expect(400);
}

#[tokio::test]
async fn an_order_of_another_customer_looks_like_a_missing_order() {
    let system = System::start().await;
    let (alice, bob) = (system.customer("alice"), system.customer("bob"));
    let id = alice.places_order("first").await;
    let none = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    for path in ["", "?min_version=1", "?min_version=9", "/events"] {
        let theirs = bob.get(format!("/orders/{id}{path}")).await.expect_problem(404, "not-found");
        if path != "?min_version=9" && path != "?min_version=1" {
            let missing = bob.get(format!("/orders/{none}{path}")).await.expect_problem(404, "not-found");
            assert_eq!(theirs.document, missing.document);
        }
    }
    let cancel = |id: &str| bob.post(format!("/orders/{id}/cancel")).json(&cancellation());
    let (theirs, missing) = (cancel(&id).await.expect(404), cancel(none).await.expect(404));
    assert_eq!(theirs.document, missing.document);
    system.project().await;
    assert_eq!(alice.get(format!("/orders/{id}")).await.expect(200).text("status"), "placed");
}

#[tokio::test]
async fn only_an_administrator_places_orders_for_another_customer() {
    let system = System::start().await;
    let mut for_bob = order();
    for_bob["customer_id"] = json!("bob");
    system.customer("alice").post("/orders").json(&for_bob).await.expect_problem(403, "forbidden");
    let root = system.caller("root", "orders/admin");
    let id = root.post("/orders").json(&for_bob).await.expect(201).text("order_id");
    assert_eq!(system.customer("bob").get(format!("/orders/{id}")).await.expect(200).text("customer_id"), "bob");
    let mut for_herself = order();
    for_herself["customer_id"] = json!("alice");
    system.customer("alice").post("/orders").json(&for_herself).await.expect(201);
}

#[tokio::test]
async fn the_warehouse_ships_and_delivers_any_order_and_cancels_none() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let warehouse = system.fulfilment();
    warehouse.post(format!("/orders/{id}/cancel")).json(&cancellation()).await.expect(403);
    warehouse.post(format!("/orders/{id}/ship")).json(&shipment()).await.expect(200);
    warehouse.post(format!("/orders/{id}/deliver")).await.expect(200);
}

#[tokio::test]
async fn the_gateway_refuses_invalid_tokens() {
    let system = System::start().await;
    let request = |token: &str| system.operator().get("/dashboard").header("Authorization", token);
    let forged = Authorizer::new().unwrap().token("root", "orders/admin", FAR_FUTURE).unwrap();
    let expired = system.stack.authorizer.token("root", "orders/admin", 1).unwrap();
    for token in ["", "Bearer", "Bearer x.y.z", &format!("Bearer {forged}"), &format!("Bearer {expired}")] {
        assert_eq!(request(token).await.expect(401).document, json!({ "message": "Unauthorized" }), "{token}");
    }
    let valid = system.stack.authorizer.token("root", "orders/admin", FAR_FUTURE).unwrap();
    request(&format!("Bearer {valid}")).await.expect(200);
}

/// The functions do not rely on the gateway. They answer 401 without claims, and 403 without scopes.
#[tokio::test]
async fn a_function_checks_the_claims_without_the_gateway() {
    let system = System::start().await;
    let claims = |claims| json!({ "jwt": { "claims": claims, "scopes": null } });
    let dashboard = system.stack.function("get-dashboard").unwrap();
    for (authorizer, status) in [
        (json!(null), 401),
        (claims(json!({ "scope": "orders/admin" })), 401),
        (claims(json!({ "sub": "", "scope": "orders/admin" })), 401),
        (claims(json!({ "sub": "root" })), 403),
        (claims(json!({ "sub": "root", "scope": "orders/administrator" })), 403),
        (claims(json!({ "sub": "root", "scope": "orders/read orders/admin" })), 200),
        (claims(json!({ "sub": "root", "scp": "[orders/read orders/admin]" })), 200),
    ] {
        let now = system.stack.app.dynamo.environment.now().as_millisecond();
        let answer = dashboard.invoke(event("GET", "/dashboard", authorizer.clone(), ""), now).await.unwrap();
        assert_eq!(answer["statusCode"], status, "{authorizer}");
    }
}
