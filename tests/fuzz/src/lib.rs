//! Fuzz targets: arbitrary bytes must not make a function panic or answer 500.
//!
//! The targets invoke the functions as Lambda does, with no time left before the deadline. So the functions parse and
//! validate all input, and call no table. They need no entry point of their own for the fuzzer.

#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a fuzzer looks for panics")]

use app::{App, Cursor, Metrics, Settings, client, start, trace::XRay};
use aws_lambda_events::dynamodb::{Event, EventRecord};
use axum::{Router, body::Body};
use cqrs::Projection;
use cqrs_dynamodb::{Dynamo, Environment};
use domains::Domains;
use jiff::Timestamp;
use lambda_http::{
    Context, RequestExt, Service,
    http::{Method, Request},
    request::RequestContext,
};
use lambda_runtime::LambdaEvent;
use orders::OrderSummaries;
use serde_json::{from_value, json};

/// The caller of all requests. It has all scopes.
const CALLER: &str = "alice";

/// The path with an id in place of its parameter.
fn with_id(path: &str) -> String {
    let segment = |segment: &str| match segment.starts_with('{') {
        true => "27debfb8-bd42-8131-9d45-532727018fe6".to_owned(),
        false => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// Sends the bytes as the body of each command.
pub fn body(bytes: &[u8]) {
    for route in command::function().routes() {
        let path = &with_id(route.path);
        let status = FUNCTIONS.with(|functions| functions.send(&functions.command, Method::POST, path, bytes));
        assert!([400, 413, 422, 503].contains(&status), "{status}");
    }
}

/// Delivers the bytes, a stream record in Lambda's JSON, to the projector.
pub fn record(bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<EventRecord>(bytes) else { return };
    let has_number = record.change.sequence_number.is_some();
    let mut event = Event::default();
    event.records.push(record);
    let answered = FUNCTIONS.with(|functions| functions.project(event));
    assert!(answered || !has_number, "a failed record with a sequence number must be reported");
}

/// Sends the bytes as the cursor of a list, and as a position in a valid cursor.
pub fn cursor(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let list = Cursor { list: &[OrderSummaries::NAME, OrderSummaries::BY_CUSTOMER.name, CALLER, CALLER, ""] };
    let position = [text, text].map(str::to_owned);
    let valid = list.after(&position);
    let can_be_a_key = (1..=1024).contains(&text.len());
    assert_eq!(list.read(&valid), can_be_a_key.then(|| position.to_vec()));
    for cursor in [text, &valid] {
        let query: String = form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
        let path = format!("/customers/{CALLER}/orders?cursor={query}");
        let status = FUNCTIONS.with(|functions| functions.send(&functions.list_orders, Method::GET, &path, &[]));
        assert!([400, 503].contains(&status), "{status}");
    }
}

thread_local! {
    static FUNCTIONS: FuzzedFunctions = FuzzedFunctions::new();
}

/// The functions, with tables that do not exist.
struct FuzzedFunctions {
    runtime: tokio::runtime::Runtime,
    app: App,
    command: Router,
    list_orders: Router,
    context: RequestContext,
}

impl FuzzedFunctions {
    fn new() -> Self {
        let tables = start::tables::<Domains>().expect("the declarations do not collide");
        let settings = Settings::read(&tables, |name| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some("http://localhost:1".to_owned()),
            _ => None,
        });
        let settings = settings.expect("all settings are valid");
        let environment = Environment::new(|| Timestamp::from_second(1_800_000_000).unwrap(), || [7; 16]);
        let app = App {
            dynamo: Dynamo::new(client::client(&settings), environment),
            tables: settings.tables,
            metrics: Metrics::none(),
            x_ray: XRay::default(),
        };
        let scopes = "orders/write orders/read orders/fulfil orders/admin";
        let context = json!({
            "http": { "method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1" }, "timeEpoch": 1,
            "authorizer": { "jwt": { "claims": { "sub": CALLER, "scope": scopes } } },
        });
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
            command: command::function().into_router(&app),
            list_orders: list_orders::function().into_router(&app),
            context: RequestContext::ApiGatewayV2(from_value(context).unwrap()),
            app,
        }
    }

    /// Sends a request, and returns the status of the response.
    fn send(&self, function: &Router, method: Method, path: &str, body: &[u8]) -> u16 {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.header("idempotency-key", "key").body(Body::from(body.to_vec())).expect("a request");
        let request = request.with_request_context(self.context.clone()).with_lambda_context(Context::default());
        let Ok(answer) = self.runtime.block_on(function.clone().call(request));
        answer.status().as_u16()
    }

    /// Invokes the projector. Returns false if it fails as a whole.
    fn project(&self, event: Event) -> bool {
        let event = LambdaEvent::new(event, Context::default());
        self.runtime.block_on(projector::handle::<Domains>(&self.app, event)).is_ok()
    }
}
