//! Fuzz targets: arbitrary bytes must not make a function panic or answer 500.
//!
//! The targets invoke the functions as Lambda does, with no time left before the deadline. So the functions parse and
//! validate all input, and call no table. They need no entry point of their own for the fuzzer.

#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a fuzzer looks for panics")]

use app::{App, Aws, Cursor, HttpService, Metrics, Route, Settings, client, start, trace::XRay};
use base64::{Engine, prelude::BASE64_STANDARD};
use cqrs::Projection;
use cqrs_dynamodb::{Dynamo, Environment};
use domains::Domains;
use jiff::Timestamp;
use lambda_runtime::{Context, LambdaEvent};
use orders::OrderSummaries;
use serde_json::{Value, json};

/// The caller of all requests. It has all scopes.
const CALLER: &str = "alice";

/// The value of all path parameters.
const ID: &str = "27debfb8-bd42-8131-9d45-532727018fe6";

/// Sends the bytes as the body of each command.
pub fn body(bytes: &[u8]) {
    for route in command::function().routes() {
        let mut event = event(route);
        event["body"] = BASE64_STANDARD.encode(bytes).into();
        event["isBase64Encoded"] = true.into();
        let status = FUNCTIONS.with(|functions| functions.send(&functions.command, event));
        assert!([400, 413, 422, 503].contains(&status), "{status}");
    }
}

/// Sends the bytes, an event in JSON, to each HTTP function. Also merges its fields into a valid event of each route,
/// and sends the result.
pub fn http_event(bytes: &[u8]) {
    let Ok(fuzzed) = serde_json::from_slice::<Value>(bytes) else { return };
    FUNCTIONS.with(|functions| {
        for (service, routes) in &functions.http {
            let valid = routes.iter().map(|route| merge(event(route), &fuzzed));
            for event in valid.chain([fuzzed.clone()]) {
                let status = functions.send(service, event);
                assert!([400, 401, 403, 404, 413, 415, 422, 503].contains(&status), "{status}");
            }
        }
    });
}

/// Delivers the bytes, a stream record in Lambda's JSON, to the projector.
pub fn record(bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Value>(bytes) else { return };
    let number = record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default().to_owned();
    let answered = FUNCTIONS.with(|functions| functions.project(json!({ "Records": [record] })));
    assert!(answered || number.is_empty(), "a failed record with a sequence number must be reported");
}

/// Delivers the bytes, an event in JSON, to the projector.
pub fn stream_event(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    let records = event["Records"].as_array();
    let first = records.and_then(|records| records.first()).map(|record| &record["dynamodb"]["SequenceNumber"]);
    let has_number = first.and_then(Value::as_str).is_some_and(|number| !number.is_empty());
    let answered = FUNCTIONS.with(|functions| functions.project(event));
    assert!(answered || !has_number, "a batch whose first record has a sequence number must be answered");
}

/// Delivers the bytes to the command queue, as the body of a message. With no time left, no message has an outcome.
pub fn message(bytes: &[u8]) {
    let body = String::from_utf8_lossy(bytes);
    let event = json!({ "Records": [{ "messageId": "1", "body": body }] });
    let response = FUNCTIONS.with(|functions| {
        functions.runtime.block_on(command_queue::handle(&functions.app, LambdaEvent::new(event, Context::default())))
    });
    let failed = serde_json::to_value(response.expect("a batch is answered")).unwrap();
    assert_eq!(failed["batchItemFailures"][0]["itemIdentifier"], "1");
}

/// Sends the bytes as the cursor of a list, and as a position in a valid cursor.
pub fn cursor(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let list = Cursor { list: &[OrderSummaries::NAME, OrderSummaries::BY_CUSTOMER.name, CALLER, CALLER, ""] };
    let position = [text, text].map(str::to_owned);
    let valid = list.after(&position);
    let can_be_a_key = (1..=1024).contains(&text.len());
    assert_eq!(list.read(&valid), can_be_a_key.then(|| position.to_vec()));
    let function = list_orders::function();
    for cursor in [text, &valid] {
        let query: String = form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
        for route in function.routes() {
            let mut event = event(route);
            event["pathParameters"]["customer_id"] = CALLER.into();
            event["rawQueryString"] = format!("cursor={query}").into();
            let status = FUNCTIONS.with(|functions| functions.send(&functions.list_orders, event));
            assert!([400, 503].contains(&status), "{status}");
        }
    }
}

/// A valid event for this route.
fn event(route: &Route) -> Value {
    let parameters: serde_json::Map<_, _> = route
        .path
        .split('/')
        .filter_map(|segment| Some((segment.strip_prefix('{')?.strip_suffix('}')?.to_owned(), ID.into())))
        .collect();
    let key = format!("{} {}", route.method, route.path);
    let scopes = "orders/write orders/read orders/fulfil orders/admin";
    json!({
        "version": "2.0", "routeKey": key, "rawPath": route.path, "rawQueryString": "",
        "headers": { "content-type": "application/json", "idempotency-key": "key" },
        "pathParameters": parameters,
        "requestContext": {
            "routeKey": key, "stage": "$default", "http": { "method": route.method.as_str(), "path": route.path },
            "authorizer": { "jwt": { "claims": { "sub": CALLER, "scope": scopes } } },
        },
        "body": "{}", "isBase64Encoded": false,
    })
}

/// Merges `changes` into the event. Objects are merged field by field; any other value replaces that of the event.
fn merge(event: Value, changes: &Value) -> Value {
    match (event, changes) {
        (Value::Object(mut event), Value::Object(changes)) => {
            for (name, change) in changes {
                let field = event.remove(name).unwrap_or_default();
                event.insert(name.clone(), merge(field, change));
            }
            Value::Object(event)
        }
        (_, change) => change.clone(),
    }
}

thread_local! {
    static FUNCTIONS: FuzzedFunctions = FuzzedFunctions::new();
}

/// The functions, with tables that do not exist.
struct FuzzedFunctions {
    runtime: tokio::runtime::Runtime,
    app: App,
    command: HttpService,
    list_orders: HttpService,
    http: Vec<(HttpService, Vec<Route>)>,
}

impl FuzzedFunctions {
    fn new() -> Self {
        let tables = start::tables::<Domains>(start::UsedTables::All).expect("the declarations do not collide");
        let settings = Settings::read(&tables, |name| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some("http://localhost:1".to_owned()),
            _ => None,
        });
        let settings = settings.expect("all settings are valid");
        let environment = Environment::new(|| Timestamp::from_second(1_800_000_000).unwrap(), || [7; 16]);
        let app = App {
            dynamo: Dynamo::new(client::client(&settings), environment),
            aws: Aws::new(&settings, client::transport(&settings), |name| match name {
                "AWS_ENDPOINT_URL" => Some("http://localhost:1".to_owned()),
                "COMMAND_SCOPES" => Some("orders/write orders/fulfil orders/admin".to_owned()),
                name => Some(name.to_owned()),
            }),
            tables: settings.tables,
            metrics: Metrics::none(),
            x_ray: XRay::default(),
        };
        let http = [command::function, get_order::function, list_orders::function, get_dashboard::function];
        let http = http.map(|function| (function().into_service(&app), function().routes().to_vec()));
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
            command: command::function().into_service(&app),
            list_orders: list_orders::function().into_service(&app),
            http: http.into(),
            app,
        }
    }

    /// Sends an event, and returns the status of the response.
    fn send(&self, function: &HttpService, event: Value) -> u16 {
        self.runtime.block_on(function.answer(LambdaEvent::new(event, Context::default()))).status()
    }

    /// Invokes the projector. Returns false if it fails as a whole.
    fn project(&self, event: Value) -> bool {
        let event = LambdaEvent::new(event, Context::default());
        self.runtime.block_on(projector::handle::<Domains>(&self.app, event)).is_ok()
    }
}
