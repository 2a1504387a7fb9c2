//! Tests the answers to events in all forms that API Gateway, proxies, emulators and identity providers send.
//!
//! Most of these tests invoke the functions with raw events, without the local gateway.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{FAR_FUTURE, System, cancellation, order, shipment};

const ORDER: &str = "27debfb8-bd42-8131-9d45-532727018fe6";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The answer of a function to an event.
struct Answer {
    status: u64,
    headers: Value,
    document: Value,
}

/// An event for the route with this key and these parameters. The caller has all scopes.
fn event(route_key: &str, path: &str, parameters: Value, caller: &str) -> Value {
    let scopes = "orders/write orders/read orders/fulfil orders/admin";
    json!({
        "version": "2.0", "routeKey": route_key, "rawPath": path, "rawQueryString": "",
        "headers": { "content-type": "application/json", "host": "abc.execute-api.eu-west-1.amazonaws.com",
                     "x-forwarded-proto": "https", "x-forwarded-port": "443", "x-forwarded-for": "203.0.113.1" },
        "pathParameters": parameters,
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc", "domainName": "abc.execute-api.eu-west-1.amazonaws.com",
            "routeKey": route_key, "stage": "$default", "time": "22/Nov/2026:10:00:00 +0000", "timeEpoch": 1_795_341_600_000_i64,
            "http": { "method": route_key.split(' ').next(), "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.1" },
            "authorizer": { "jwt": { "claims": { "sub": caller, "scope": scopes }, "scopes": null } },
        },
        "isBase64Encoded": false,
    })
}

fn place(caller: &str) -> Value {
    let mut event = event("POST /orders", "/orders", json!(null), caller);
    event["body"] = order().to_string().into();
    event
}

fn list(path: &str, customer: &str) -> Value {
    event("GET /customers/{customer_id}/orders", path, json!({ "customer_id": customer }), customer)
}

fn dashboard() -> Value {
    event("GET /dashboard", "/dashboard", json!(null), "root")
}

/// The event with one field changed, by its JSON pointer.
fn with(mut event: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(parent).unwrap()[name] = value;
    event
}

impl System {
    /// Invokes the function of the event's route.
    async fn send(&self, event: &Value) -> Answer {
        let key = event["routeKey"].as_str().unwrap_or("GET /dashboard");
        let has_route = |(_, function): &(&String, &local::template::FunctionDefinition)| {
            function.routes.iter().any(|route| format!("{} {}", route.method, route.path) == key)
        };
        let function = self.stack.template.functions.iter().find(has_route).map_or("get-dashboard", |(name, _)| name);
        self.send_to(function, event).await
    }

    /// Invokes a function, which must neither panic nor fail.
    async fn send_to(&self, function: &str, event: &Value) -> Answer {
        let now = self.stack.app.dynamo.environment.now().as_millisecond();
        let answer = self.stack.function(function).unwrap().invoke(event.clone(), now).await;
        let answer = answer.unwrap_or_else(|error| panic!("{function}: {error}: {event}"));
        let body = answer["body"].as_str().unwrap();
        let document = serde_json::from_str(body).unwrap_or_default();
        Answer { status: answer["statusCode"].as_u64().unwrap(), headers: answer["headers"].clone(), document }
    }

    async fn orders_written(&self) -> usize {
        self.streams().await.len()
    }
}

impl Answer {
    #[track_caller]
    fn expect(self, status: u64, context: &str) -> Self {
        assert_eq!(self.status, status, "{context}: {}", self.document);
        if status >= 400 {
            assert_eq!(self.headers["content-type"], "application/problem+json", "{context}");
            assert_eq!(self.document["status"], status, "{context}");
        }
        self
    }
}

#[tokio::test]
async fn a_request_succeeds_with_any_forwarding_header_and_any_host() {
    let system = System::start().await;
    for (name, value) in [
        ("x-forwarded-proto", "https, http"),
        ("x-forwarded-proto", ""),
        ("x-forwarded-proto", "a b"),
        ("x-forwarded-proto", "https,https,https"),
        ("x-forwarded-port", "443, 80"),
        ("x-forwarded-port", "none"),
        ("host", "a b"),
        ("host", "["),
        ("host", "x:99999"),
        ("host", ""),
        ("host", "a/b?c#d"),
        ("host", "user@:pass"),
    ] {
        system.send(&with(dashboard(), &format!("/headers/{name}"), json!(value))).await.expect(200, value);
        let placed =
            system.send(&with(place("alice"), &format!("/headers/{name}"), json!(value))).await.expect(201, value);
        assert!(placed.headers["location"].as_str().unwrap().starts_with("/orders/"), "{name}: {value}");
    }
}

#[tokio::test]
async fn a_caller_lists_own_orders_whatever_characters_the_subject_has() {
    let system = System::start().await;
    for subject in [
        "CN=a#b",
        "a%41b",
        "CORP\\alice",
        "who?",
        "acme/alice",
        "https://idp/x",
        "auth0|5f7c%2F9",
        "älice@example.com",
        "a b+c&d=e",
        "a\"b<c>",
    ] {
        let placed = system.send(&place(subject)).await.expect(201, subject).document["order_id"].clone();
        system.project().await;
        // `rawPath` is decoded, so it may have more segments than the encoded path.
        let answer = system.send(&list(&format!("/customers/{subject}/orders"), subject)).await.expect(200, subject);
        assert_eq!(answer.document["orders"][0]["order_id"], placed, "{subject}");
        // The gateway gets an encoded path.
        let encoded: String = subject.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let caller = system.customer(subject);
        let listed = caller.get(format!("/customers/{encoded}/orders")).await.expect(200);
        assert_eq!(listed.document["orders"][0]["order_id"], placed, "{subject}");
    }
}

#[tokio::test]
async fn a_field_that_is_not_used_may_have_any_form() {
    let system = System::start().await;
    for (pointer, value) in [
        ("/requestContext/authorizer/jwt/claims/exp", json!(1_795_345_200)),
        ("/requestContext/authorizer/jwt/claims/email_verified", json!(true)),
        ("/requestContext/authorizer/jwt/claims/groups", json!(["a", "b", 1])),
        ("/requestContext/authorizer/jwt/claims/address", json!({ "country": "DE" })),
        ("/requestContext/authorizer/jwt/claims/nonce", json!(null)),
        ("/requestContext/authorizer/jwt/claims/auth_time", json!(1.5e9)),
        ("/headers/x-odd", json!(null)),
        ("/headers/x-odd", json!(["a", "b"])),
        ("/headers/x-odd", json!(7)),
        ("/headers/x-odd", json!("a\nb")),
        ("/headers/traceparent", json!("\u{7f}")),
        ("/headers/x odd", json!("a")),
        ("/requestContext/timeEpoch", json!(1_795_341_600_000.5)),
        ("/requestContext/timeEpoch", json!("now")),
        ("/requestContext/http/sourceIp", json!(null)),
        ("/requestContext/accountId", json!(123_456_789_012_i64)),
        ("/requestContext/authentication", json!({ "clientCert": null })),
        ("/isBase64Encoded", json!(null)),
        ("/isBase64Encoded", json!("false")),
        ("/cookies", json!(null)),
        ("/stageVariables", json!([])),
        ("/version", json!(2)),
        ("/rawQueryString", json!(null)),
        ("/queryStringParameters", json!(null)),
        ("/pathParameters", json!(null)),
    ] {
        system.send(&with(dashboard(), pointer, value.clone())).await.expect(200, &format!("{pointer}: {value}"));
    }
}

#[tokio::test]
async fn scopes_are_the_union_of_scope_and_scp() {
    let system = System::start().await;
    for (claims, status) in [
        (json!({ "sub": "a", "scp": ["orders/admin", "orders/read"] }), 200),
        (json!({ "sub": "a", "scope": "openid", "scp": "orders/admin" }), 200),
        (json!({ "sub": "a", "scope": ["openid", "orders/admin"] }), 200),
        (json!({ "sub": "a", "scope": "[orders/admin]", "scp": null }), 200),
        (json!({ "sub": 17, "scope": "orders/admin" }), 200),
        (json!({ "sub": "a", "scope": ["orders/administrator"], "scp": "orders" }), 403),
        (json!({ "sub": "a", "scope": { "orders/admin": true } }), 403),
        (json!({ "sub": "a", "scope": "x,orders/admin", "scp": "[orders/admin" }), 403),
        (json!({ "sub": null, "scope": "orders/admin" }), 401),
        (json!({ "sub": ["a"], "scope": "orders/admin" }), 401),
        (json!("orders/admin"), 401),
    ] {
        let event = with(dashboard(), "/requestContext/authorizer/jwt/claims", claims.clone());
        system.send(&event).await.expect(status, &claims.to_string());
    }
}

#[tokio::test]
async fn a_query_and_a_body_that_cannot_be_read_are_malformed() {
    let system = System::start().await;
    for query in ["days=\"", "days=<1>", "days=1 2", "days=\0", "a>b", "days=1#x", "days=\n"] {
        system.send(&with(dashboard(), "/rawQueryString", json!(query))).await.expect(400, query);
        system.send(&with(place("alice"), "/rawQueryString", json!(query))).await.expect(400, query);
    }
    for body in ["{}", "e3", "e30=====", "\u{e4}"] {
        let event = with(with(place("alice"), "/body", json!(body)), "/isBase64Encoded", json!(true));
        system.send(&event).await.expect(400, body);
    }
    for body in [json!({}), json!(1), json!(["a"])] {
        system.send(&with(place("alice"), "/body", body.clone())).await.expect(400, &body.to_string());
    }
    assert_eq!(system.orders_written().await, 0);
}

#[tokio::test]
async fn query_string_parameters_count_where_there_is_no_raw_query() {
    let system = System::start().await;
    let list = |parameters: &Value| {
        let mut event = with(list("/customers/alice/orders", "alice"), "/queryStringParameters", parameters.clone());
        event.as_object_mut().unwrap().remove("rawQueryString");
        event
    };
    for (parameters, status) in [
        (json!({ "limit": "abc" }), 400),
        (json!({ "limit": "1,2" }), 400),
        (json!({ "limit": ["1", "2"] }), 400),
        (json!({ "sort": "asc" }), 400),
        (json!({ "sort": null }), 400),
        (json!({ "limit": {} }), 400),
        (json!({ "limit": [] }), 400),
        (json!({ "limit": "2" }), 200),
        (json!({ "limit": 2 }), 200),
        (json!({}), 200),
    ] {
        system.send(&list(&parameters)).await.expect(status, &parameters.to_string());
    }
}

#[tokio::test]
async fn an_unknown_route_gets_a_problem() {
    let system = System::start().await;
    for (key, path) in
        [("$default", "/nowhere"), ("GET /nowhere", "/nowhere"), ("DELETE /dashboard", "/dashboard"), ("", "")]
    {
        let unknown = event(key, path, json!(null), "root");
        let unknown = with(unknown, "/requestContext/http/method", json!("DELETE"));
        for function in ["command", "get-order", "list-orders", "get-dashboard"] {
            let answer = system.send_to(function, &unknown).await.expect(404, key);
            assert!(answer.document["type"].as_str().unwrap().ends_with("/not-found"));
        }
    }
    for event in [json!({}), json!(null), json!([]), json!({ "Records": [] }), json!("warm")] {
        system.send(&event).await.expect(400, &event.to_string());
    }
}

#[tokio::test]
async fn a_location_leads_back_through_an_api_mapping() {
    let system = System::start().await;
    for (path, stage) in [("/shop/orders", "$default"), ("/prod/orders", "prod"), ("/a b/ä/orders", "$default")] {
        let mut event = with(place("alice"), "/rawPath", json!(path));
        event["requestContext"]["stage"] = stage.into();
        let placed = system.send(&event).await.expect(201, path);
        let id = placed.document["order_id"].as_str().unwrap();
        let expected = format!("{path}/{id}").replace(' ', "%20").replace('ä', "%C3%A4");
        assert_eq!(placed.headers["location"], expected);
        let read = self::event("GET /orders/{order_id}", &format!("{path}/{id}"), json!({ "order_id": id }), "alice");
        system.send(&read).await.expect(200, path);
    }
    // Without a route key, the path decides, with or without the stage.
    for (path, stage) in [("/orders", "$default"), ("/prod/orders", "prod")] {
        let mut event = with(place("alice"), "/routeKey", json!("$default"));
        event["requestContext"]["routeKey"] = json!(null);
        event["requestContext"]["stage"] = stage.into();
        event["rawPath"] = path.into();
        system.send_to("command", &event).await.expect(201, path);
    }
    for (path, expected) in [
        (json!("//example.com/orders"), "/example.com/orders/"),
        (json!("/orders/"), "/orders/"),
        (json!("/"), "/"),
        (json!(null), "/orders/"),
    ] {
        let placed = system.send(&with(place("alice"), "/rawPath", path.clone())).await.expect(201, &path.to_string());
        let id = placed.document["order_id"].as_str().unwrap();
        assert_eq!(placed.headers["location"], format!("{expected}{id}"), "{path}");
    }
}

#[tokio::test]
async fn a_customer_that_could_not_be_listed_is_refused() {
    let system = System::start().await;
    let blank = [" ", "\u{a0}", "\u{3000}", "\u{200b}", "\u{feff}", "\u{2060}\u{200d}"];
    for customer in [".", ".."].into_iter().chain(blank) {
        let mut sent = order();
        sent["customer_id"] = customer.into();
        let event = with(place("root"), "/body", json!(sent.to_string()));
        let refused = system.send(&event).await.expect(422, &format!("{customer:?}"));
        assert_eq!(refused.document["errors"][0]["pointer"], "/customer_id");
        // A caller with such a subject is refused, too.
        system.send(&place(customer)).await.expect(422, &format!("{customer:?}"));
    }
    for customer in ["a\u{2028}", "a\u{206a}", "a\u{e0041}", "a\u{2029}b", "\u{202e}a"] {
        let mut sent = order();
        sent["customer_id"] = customer.into();
        let event = with(place("root"), "/body", json!(sent.to_string()));
        let refused = system.send(&event).await.expect(422, &format!("{customer:?}"));
        assert_eq!(refused.document["errors"][0]["pointer"], "/customer_id");
    }
    assert_eq!(system.orders_written().await, 0);
}

#[tokio::test]
async fn a_subject_may_have_255_characters() {
    let system = System::start().await;
    for length in [1, 128, 129, 200, 255] {
        for letter in ["a", "ä", "\u{1f600}"] {
            let subject = letter.repeat(length);
            system.send(&place(&subject)).await.expect(201, &subject);
            system.project().await;
            let listed = system.send(&list("/customers/x/orders", &subject)).await.expect(200, &subject);
            assert_eq!(listed.document["orders"].as_array().unwrap().len(), 1);
        }
    }
    system.send(&place(&"a".repeat(256))).await.expect(401, "256");
}

#[tokio::test]
async fn a_trace_of_zeros_is_ignored() {
    let system = System::start().await;
    for (trace, links) in [
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", json!([])),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", json!([])),
        ("00-00000000000000000000000000000000-0000000000000000-00", json!([])),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", json!([])),
        (TRACE, json!([TRACE])),
    ] {
        system.send(&with(place("alice"), "/headers/traceparent", json!(trace))).await.expect(201, trace);
        system.project().await;
        assert_eq!(system.last_metrics_line()["links"], links, "{trace}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_malformed() {
    let system = System::start().await;
    let token = system.stack.authorizer.token("alice", "orders/write", FAR_FUTURE).unwrap();
    let address = system.url().trim_start_matches("http://").to_owned();
    for chunk in ["5\r\n{\"cur", "zz\r\n", "5\r\n{\"curXX"] {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunk:?}: {answer}");
    }
    assert_eq!(system.orders_written().await, 0);
}

#[tokio::test]
async fn a_command_has_no_query_parameters() {
    let system = System::start().await;
    for query in ["dry_run=true", "a", "customer_id=bob", "="] {
        let refused = system.send(&with(place("alice"), "/rawQueryString", json!(query))).await.expect(400, query);
        assert_eq!(refused.document["detail"], "This operation has no query parameters.");
    }
    assert_eq!(system.orders_written().await, 0);
    for (command, body) in [("ship", shipment()), ("cancel", cancellation()), ("deliver", json!({}))] {
        let key = format!("POST /orders/{{order_id}}/{command}");
        let mut event = event(&key, &format!("/orders/{ORDER}/{command}"), json!({ "order_id": ORDER }), "root");
        event["body"] = body.to_string().into();
        event["queryStringParameters"] = json!({ "force": "1" });
        system.send(&event).await.expect(400, command);
    }
}

#[tokio::test]
async fn a_body_is_accepted_in_every_spelling_of_json_in_utf_8() {
    let system = System::start().await;
    for (name, value, status) in [
        ("content-encoding", "identity", 201),
        ("content-encoding", "", 201),
        ("content-encoding", "Identity,identity", 201),
        ("content-encoding", "gzip", 415),
        ("content-encoding", "identity, br", 415),
        ("content-type", "application/json,application/json", 201),
        ("content-type", "application/json; charset=utf-8, application/json;charset=\"UTF-8\"", 201),
        ("content-type", "APPLICATION/JSON", 201),
        ("content-type", "application/json; profile=\"a,b\"", 201),
        ("content-type", "application/json, text/plain", 415),
        ("content-type", "application/json; charset=iso-8859-1", 415),
        ("content-type", "application/json; charset=utf-16le", 415),
        ("content-type", "application/json;CHARSET=windows-1252", 415),
    ] {
        let event = with(place("alice"), &format!("/headers/{name}"), json!(value));
        system.send(&event).await.expect(status, value);
    }
    let lines = with(place("alice"), "/headers/content-type", json!(["application/json", "application/json"]));
    system.send(&lines).await.expect(201, "two lines");
}

#[tokio::test]
async fn a_number_has_any_spelling_and_errors_have_the_words_of_json() {
    let system = System::start().await;
    let with_quantity = |quantity: &str| {
        let body = order().to_string().replace("\"quantity\":2", &format!("\"quantity\":{quantity}"));
        with(place("alice"), "/body", json!(body))
    };
    for quantity in ["2.0", "2e0", "1e2", "200e-2"] {
        let id = system.send(&with_quantity(quantity)).await.expect(201, quantity).document["order_id"].clone();
        let id = id.as_str().unwrap();
        let read = event("GET /orders/{order_id}", "/", json!({ "order_id": id }), "alice");
        let shown = system.send(&read).await.expect(200, quantity).document["items"][0]["quantity"].clone();
        assert_eq!(shown.as_f64(), quantity.parse().ok(), "{quantity}");
    }
    for quantity in ["2.5", "-1", "-2.0", "1e300", "\"2\"", "null", "[2]", "{}", "true", "18446744073709551616"] {
        let refused = system.send(&with_quantity(quantity)).await.expect(422, quantity).document;
        assert_eq!(refused["errors"][0]["pointer"], "/items/0/quantity", "{quantity}");
        assert_eq!(refused["errors"][0]["detail"], "expected a whole number of at least 0", "{quantity}");
    }
    for (field, value, detail) in [
        ("items", json!({}), "expected an array"),
        ("items", json!([1]), "expected an object"),
        ("currency", json!(1), "expected a string"),
    ] {
        let mut sent = order();
        sent[field] = value;
        let refused = system.send(&with(place("alice"), "/body", json!(sent.to_string()))).await.expect(422, field);
        assert_eq!(refused.document["errors"][0]["detail"], detail);
    }
}

#[tokio::test]
async fn text_that_nobody_can_read_is_refused() {
    let system = System::start().await;
    let unreadable = [
        " ",
        "\u{a0}",
        "\u{3000}",
        "\u{200b}",
        "\u{feff}",
        "\u{2003}\u{2009}",
        "\u{200d}\u{fe0f}",
        "\u{ad}",
        "a\u{2028}",
        "a\u{2029}b",
        "a\u{206a}",
        "a\u{e0041}\u{e007f}",
        "a\u{fffb}",
        "\u{202e}a",
    ];
    let commands = [
        ("/orders", order(), vec!["/shipping_address", "/items/0/sku"]),
        ("/orders/{order_id}/ship", shipment(), vec!["/carrier", "/tracking_number"]),
        ("/orders/{order_id}/cancel", cancellation(), vec!["/reason"]),
    ];
    for (path, body, fields) in commands {
        for field in fields {
            for text in unreadable {
                let mut sent = body.clone();
                *sent.pointer_mut(field).unwrap() = text.into();
                let mut event = event(&format!("POST {path}"), path, json!({ "order_id": ORDER }), "root");
                event["body"] = sent.to_string().into();
                let refused = system.send(&event).await.expect(422, &format!("{field}: {text:?}"));
                assert_eq!(refused.document["errors"][0]["pointer"], field, "{text:?}");
            }
        }
    }
    let mut sent = order();
    sent["shipping_address"] =
        "\u{1f469}\u{200d}\u{1f4bb}, \u{646}\u{645}\u{6cc}\u{200c}\u{62f}\u{627}\u{646}\u{645}".into();
    system.send(&with(place("alice"), "/body", json!(sent.to_string()))).await.expect(201, "joiners");
}

#[tokio::test]
async fn an_order_has_a_currency_in_which_one_can_pay() {
    let system = System::start().await;
    let description = local::openapi::json(&deployment::deployment()).unwrap();
    let description: Value = serde_json::from_str(&description).unwrap();
    let described = description["components"]["schemas"]["CurrencyCode"]["enum"].as_array().unwrap();
    for (code, is_accepted) in [
        ("HRK", false),
        ("CUC", false),
        ("ZWL", false),
        ("SLL", false),
        ("BGN", false),
        ("XXX", false),
        ("XTS", false),
        ("XAU", false),
        ("XDR", false),
        ("XPT", false),
        ("XBB", false),
        ("MXV", false),
        ("ANG", false),
        ("VES", true),
        ("XCG", true),
        ("ZWG", true),
        ("EUR", true),
        ("XOF", true),
    ] {
        let mut sent = order();
        sent["currency"] = code.into();
        let status = if is_accepted { 201 } else { 422 };
        system.send(&with(place("alice"), "/body", json!(sent.to_string()))).await.expect(status, code);
        assert_eq!(described.contains(&json!(code)), is_accepted, "{code}");
    }
}

/// Each HTTP function gets each example event, including those for other functions, and must not answer 500. The
/// projector gets each event that has DynamoDB records, and must not fail. `EVENT_FIXTURES` names another directory of
/// events, such as that of the fixtures of the Rust runtime.
#[tokio::test]
async fn any_event_gets_an_answer() {
    let system = System::start().await;
    let directory = std::env::var("EVENT_FIXTURES")
        .unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").display().to_string());
    let mut events = 0;
    for file in fs::read_dir(directory).unwrap() {
        let file = file.unwrap().path();
        let Ok(event) = serde_json::from_slice::<Value>(&fs::read(&file).unwrap()) else { continue };
        events += 1;
        for function in ["command", "get-order", "list-orders", "get-dashboard"] {
            assert_ne!(system.send_to(function, &event).await.status, 500, "{}", file.display());
        }
        let records = event["Records"].as_array().into_iter().flatten();
        if records.into_iter().any(|record| record["dynamodb"].is_object()) {
            let now = system.stack.app.dynamo.environment.now().as_millisecond();
            let answer = system.stack.function("projector").unwrap().invoke(event.clone(), now).await;
            assert!(answer.is_ok(), "{}: {answer:?}", file.display());
        }
    }
    assert!(events >= 10, "{events} events");
}

#[tokio::test]
async fn no_field_of_a_stream_record_fails_a_batch_but_its_keys() {
    let system = System::start().await;
    let alice = system.customer("alice");
    for key in ["first", "second"] {
        alice.places_order(key).await;
    }
    let records = system.stream_records().await;
    let remove = |record: &mut Value, pointer: &str| {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        record.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    };
    for (pointer, value) in [
        ("/eventID", Some(json!(null))),
        ("/eventID", None),
        ("/dynamodb/SizeBytes", None),
        ("/dynamodb/SizeBytes", Some(json!(501.0))),
        ("/dynamodb/SizeBytes", Some(json!("501"))),
        ("/awsRegion", None),
        ("/awsRegion", Some(json!(["eu-west-1"]))),
        ("/dynamodb/StreamViewType", Some(json!("NEW_IMAGE_AND_MORE"))),
        ("/dynamodb/StreamViewType", Some(json!(null))),
        ("/dynamodb/ApproximateCreationDateTime", Some(json!(null))),
        ("/dynamodb/ApproximateCreationDateTime", Some(json!(1_795_341_600_000_000_i64))),
        ("/dynamodb/ApproximateCreationDateTime", Some(json!("2026-11-22T10:00:00Z"))),
        ("/eventName", None),
        ("/eventName", Some(json!("UPSERT"))),
        ("/eventVersion", Some(json!(2))),
        ("/userIdentity", Some(json!({ "type": null }))),
        ("/dynamodb/NewImage", None),
        ("/dynamodb/NewImage", Some(json!({ "stream": { "S": 1 } }))),
        ("/dynamodb/NewImage", Some(json!("none"))),
        ("/dynamodb/Keys/extra", Some(json!({ "Q": 1 }))),
    ] {
        let mut odd = records.clone();
        match &value {
            Some(value) => odd[0].json = with(odd[0].json.clone(), pointer, value.clone()),
            None => remove(&mut odd[0].json, pointer),
        }
        system.take_metrics();
        assert_eq!(system.deliver(&odd).await, json!({ "batchItemFailures": [] }), "{pointer}: {value:?}");
        let metrics = system.take_metrics();
        assert!(!metrics.contains_key("NotACommit") && !metrics.contains_key("Tampered"), "{pointer}: {metrics:?}");
    }
    assert_eq!(system.view_versions().await.len(), 2);
}

#[tokio::test]
async fn a_record_without_usable_keys_is_counted_and_the_others_are_projected() {
    let system = System::start().await;
    system.customer("alice").places_order("first").await;
    for odd in [
        json!(null),
        json!({}),
        json!("record"),
        json!({ "eventName": "INSERT" }),
        json!({ "eventName": "INSERT", "dynamodb": { "SequenceNumber": "1" } }),
        json!({ "eventName": "INSERT", "dynamodb": { "Keys": { "stream": { "S": "order" }, "version": { "N": "1" } } } }),
        json!({ "dynamodb": { "Keys": { "stream": { "S": "order#1" }, "version": { "N": "one" } } } }),
    ] {
        let mut records = system.stream_records().await;
        let mut first = records[0].clone();
        first.json = odd.clone();
        records.insert(0, first);
        system.take_metrics();
        assert_eq!(system.deliver(&records).await, json!({ "batchItemFailures": [] }), "{odd}");
        assert_eq!(system.take_metrics()["NotACommit"], 1, "{odd}");
        assert_eq!(system.view_versions().await.len(), 1);
    }
}

/// The local gateway answers cross-origin requests like API Gateway.
#[tokio::test]
async fn the_gateway_answers_cross_origin_requests_as_the_template_configures() {
    let system = System::start().await;
    let origin = "https://example.invalid";
    let operator = system.operator();
    let preflight = |origin: &str, method: &str| {
        let request = operator.request(reqwest::Method::OPTIONS, "/orders").header("Origin", origin);
        request.header("Access-Control-Request-Method", method)
    };
    let allowed = preflight(origin, "POST").await.expect(204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(origin));
    assert_eq!(allowed.header("access-control-allow-methods"), Some("GET,POST"));
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("idempotency-key"));
    assert_eq!(allowed.header("access-control-max-age"), Some("3600"));
    for (origin, method) in [("https://other.invalid", "POST"), (origin, "DELETE"), ("null", "GET")] {
        let refused = preflight(origin, method).await.expect(204);
        assert_eq!(refused.header("access-control-allow-origin"), None, "{origin} {method}");
    }
    for (path, status) in [("/dashboard", 200), ("/nowhere", 404)] {
        let simple = operator.get(path).header("Origin", origin).await.expect(status);
        assert_eq!(simple.header("access-control-allow-origin"), Some(origin));
        assert!(simple.header("access-control-expose-headers").unwrap().contains("etag"));
    }
    assert_eq!(operator.get("/dashboard").await.expect(200).header("access-control-allow-origin"), None);
    let other = operator.get("/dashboard").header("Origin", "https://other.invalid").await.expect(200);
    assert_eq!(other.header("access-control-allow-origin"), None);
    operator.request(reqwest::Method::OPTIONS, "/orders").await.expect(404);
}

#[tokio::test]
async fn a_token_needs_an_audience_an_issuer_and_a_time_at_which_it_is_valid() {
    let system = System::start().await;
    let claims = json!({
        "iss": "https://local.invalid", "aud": "local", "sub": "root", "scope": "orders/admin", "exp": FAR_FUTURE,
        "nbf": 1, "iat": 1,
    });
    let send =
        async |claims: &Value| system.bearer(system.stack.authorizer.sign(claims).unwrap()).get("/dashboard").await;
    send(&claims).await.expect(200);
    for (name, value) in [
        ("aud", json!(null)),
        ("aud", json!("other")),
        ("iss", json!(null)),
        ("iss", json!("https://other.invalid")),
        ("nbf", json!(FAR_FUTURE - 1)),
        ("iat", json!(FAR_FUTURE - 1)),
        ("exp", json!(null)),
        ("exp", json!(1)),
    ] {
        let mut odd = claims.clone();
        match value.is_null() {
            true => drop(odd.as_object_mut().unwrap().remove(name)),
            false => odd[name] = value.clone(),
        }
        assert_eq!(send(&odd).await.expect(401).document, json!({ "message": "Unauthorized" }), "{name}: {value}");
    }
    for (name, value) in [("scp", json!(["orders/admin"])), ("scp", json!("openid orders/admin"))] {
        let mut with_scp = claims.clone();
        with_scp.as_object_mut().unwrap().remove("scope");
        with_scp[name] = value.clone();
        send(&with_scp).await.expect(200);
    }
}
