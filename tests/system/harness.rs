//! A system under test, and callers that send requests to it.

pub mod canary;
pub mod interceptor;
pub mod tables;

use std::{
    collections::BTreeMap,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use app::{App, Metrics, problem::type_uri};
use aws_sdk_dynamodb::types::AttributeValue;
use cqrs_dynamodb::{Environment, Item, commit_item};
pub use deployment::template;
use jiff::Timestamp;
use local::{
    Engine, Stack, Template,
    authorizer::Authorizer,
    event_source_mapping::{DeliveryStep, EventSourceMapping},
    gateway::ApiEvent,
    stack,
};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Mutex};

use self::interceptor::TestInterceptor;

/// The start time of every test.
pub const START: &str = "2026-11-22T10:00:00Z";

/// The expiry of tokens: 2100-01-01, in seconds since 1970. The authorizer uses the machine's clock.
pub const FAR_FUTURE: i64 = 4_102_444_800;

/// A system with its own tables.
pub struct System {
    pub stack: Stack,
    pub interceptor: Arc<TestInterceptor>,
    pub clock: TestClock,
    metrics: Arc<MetricLines>,
    /// The app of this system without the interceptor.
    direct: App,
    url: String,
    client: Client,
    /// Delivers the stream to the projector.
    mapping: Mutex<EventSourceMapping>,
    /// Delivers the stream to the publisher.
    publishing: Mutex<EventSourceMapping>,
    /// The events on the bus.
    published: Arc<std::sync::Mutex<Vec<Value>>>,
}

type MetricLines = std::sync::Mutex<Vec<Value>>;

/// A clock that a test controls. Each read advances it by a millisecond.
#[derive(Clone)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.fetch_add(1, Ordering::SeqCst)).unwrap()
    }

    /// Moves the clock forward, or back if `milliseconds` is negative.
    pub fn advance_ms(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

/// A new embedded engine, or the DynamoDB at `AWS_ENDPOINT_URL_DYNAMODB`.
pub fn engine() -> Engine {
    match std::env::var("AWS_ENDPOINT_URL_DYNAMODB") {
        Ok(url) if !url.is_empty() => Engine::remote(url),
        _ => Engine::embedded().unwrap(),
    }
}

/// A prefix for table names that no other test and no other run has.
pub fn prefix() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let run = u128::from_be_bytes(Environment::system().random_bytes()) >> 64;
    format!("{run:016x}-{}-", NUMBER.fetch_add(1, Ordering::SeqCst))
}

/// The domains without their publications, for tests that count views.
pub struct ReadModelsOnly;

impl cqrs::Domain for ReadModelsOnly {
    fn read_models<M: cqrs::ReadModels>(models: M) -> M {
        domains::Domains::read_models(models)
    }
}

/// The mapping of the stream to this function.
fn mapping_of(stack: &Stack, function: &str) -> EventSourceMapping {
    stack.event_source_mappings().into_iter().find(|mapping| mapping.name() == function).unwrap()
}

impl System {
    /// A system with one shard and a [`TestInterceptor`].
    pub async fn start() -> Self {
        Self::start_with(template()).await
    }

    /// Like [`start`](Self::start), with this template.
    pub async fn start_with(template: Template) -> Self {
        let interceptor = Arc::new(TestInterceptor::default());
        let engine = engine().with_interceptor(interceptor.clone());
        Self { interceptor, ..Self::start_with_engine(template, engine).await }
    }

    /// A system with this template on `engine`.
    pub async fn start_with_engine(template: Template, engine: Engine) -> Self {
        let ((clock, environment), authorizer) = (clock(), Authorizer::new().unwrap());
        Self::start_at(clock, environment, template, authorizer, engine, |mapping| mapping).await
    }

    /// A system on `engine`. `configure` changes its event source mapping.
    pub async fn start_on(engine: Engine, configure: impl FnOnce(EventSourceMapping) -> EventSourceMapping) -> Self {
        Self::start_behind(Authorizer::new().unwrap(), engine, configure).await
    }

    /// Like [`start_on`](Self::start_on), with this authorizer.
    pub async fn start_behind(
        authorizer: Authorizer,
        engine: Engine,
        configure: impl FnOnce(EventSourceMapping) -> EventSourceMapping,
    ) -> Self {
        let (clock, environment) = clock();
        Self::start_at(clock, environment, template(), authorizer, engine, configure).await
    }

    /// A system with new, empty tables on the engine of this one, with its clock.
    pub async fn with_new_tables(&self) -> Self {
        let environment = self.stack.app.dynamo.environment.clone();
        let engine = self.stack.engine().direct();
        let authorizer = Authorizer::new().unwrap();
        Self::start_at(self.clock.clone(), environment, template(), authorizer, engine, |mapping| mapping).await
    }

    async fn start_at(
        clock: TestClock,
        environment: Environment,
        template: Template,
        authorizer: Authorizer,
        engine: Engine,
        configure: impl FnOnce(EventSourceMapping) -> EventSourceMapping,
    ) -> Self {
        canary::install();
        let (prefix, direct) = (prefix(), engine.direct());
        let stack = Stack::start(deployment::deployment(), template, engine, authorizer, environment.clone(), &prefix)
            .await
            .unwrap();
        let metrics = Arc::new(MetricLines::default());
        let lines = Arc::clone(&metrics);
        let stack = stack
            .with_metrics(Metrics::to("orders", move |line| {
                canary::record("metrics", &line.to_string());
                lines.lock().unwrap().push(line);
            }))
            .unwrap();
        let direct = stack::app(&stack.deployment, &stack.template, &direct, &environment, &prefix).unwrap();
        let mapping = Mutex::new(configure(mapping_of(&stack, "projector")));
        let publishing = Mutex::new(mapping_of(&stack, "publisher"));
        let published = Arc::new(std::sync::Mutex::new(Vec::new()));
        let events = Arc::clone(&published);
        stack.messaging.on_event(move |_, event| events.lock().unwrap().push(event.clone()));
        let url = serve(&stack).await;
        let (interceptor, client) = (Arc::default(), Client::new());
        Self { stack, interceptor, clock, metrics, direct, url, client, mapping, publishing, published }
    }

    /// Replaces the functions by those behind the Lambda Invoke API at `url`.
    pub async fn with_functions_at(self, url: &str) -> Self {
        let stack = self.stack.with_functions_at(url);
        let mapping = Mutex::new(mapping_of(&stack, "projector"));
        let publishing = Mutex::new(mapping_of(&stack, "publisher"));
        Self { url: serve(&stack).await, stack, mapping, publishing, ..self }
    }

    pub fn last_metrics_line(&self) -> Value {
        self.metrics.lock().unwrap().last().unwrap().clone()
    }

    /// The metrics since the last call: the sum of each counter, and the last list of durations.
    pub fn take_metrics(&self) -> BTreeMap<String, Value> {
        let mut totals: BTreeMap<String, Value> = BTreeMap::new();
        for line in self.metrics.lock().unwrap().drain(..) {
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                let sum = totals.entry(name.to_owned()).or_insert(json!(0));
                *sum = line[name].as_u64().map_or(line[name].clone(), |n| json!(sum.as_u64().unwrap_or_default() + n));
            }
        }
        totals
    }

    /// Delivers one batch to the projector. Returns false if there was none.
    pub async fn project_a_batch(&self) -> bool {
        let step = self.mapping.lock().await.step().await.unwrap();
        tokio::task::yield_now().await;
        !matches!(step, DeliveryStep::Idle)
    }

    /// Delivers batches to the projector until the stream is empty.
    pub async fn project(&self) {
        self.mapping.lock().await.drain().await.unwrap();
    }

    /// Delivers batches to the publisher until the stream is empty. Returns the events on the bus since the last time.
    pub async fn publish(&self) -> Vec<Value> {
        self.publishing.lock().await.drain().await.unwrap();
        self.take_published()
    }

    /// Another mapping to the publisher, from the beginning of the stream.
    pub fn publishing_mapping(&self) -> EventSourceMapping {
        mapping_of(&self.stack, "publisher")
    }

    /// Delivers one batch to the publisher.
    pub async fn publish_a_batch(&self) -> DeliveryStep {
        self.publishing.lock().await.step().await.unwrap()
    }

    /// The events on the bus since the last time.
    pub fn take_published(&self) -> Vec<Value> {
        self.published.lock().unwrap().drain(..).collect()
    }

    /// Delivers the whole stream to the publisher again.
    pub async fn publish_again(&self) -> Vec<Value> {
        self.publishing_mapping().drain().await.unwrap();
        self.take_published()
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A URL of the system's DynamoDB for other processes.
    pub async fn dynamodb_url(&self) -> String {
        let engine = self.stack.engine().direct();
        if !engine.is_embedded() {
            return engine.endpoint().to_owned();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { engine.serve(listener).await });
        url
    }

    /// Writes a commit without any validation. It continues the commit before it, if there is one.
    pub async fn append_raw(&self, order_id: &str, version: u64, events: Value) {
        let commit = json!({
            "stream": format!("order#{order_id}"), "version": version, "command_id": "raw", "fingerprint": "raw",
            "recorded_at": START, "caller": "raw", "events": events,
        });
        let mut item: Item = serde_dynamo::to_item(commit).unwrap();
        let before = self.commit_item(order_id, version - 1).await;
        item.extend(before.map(|before| ("previous".to_owned(), before["hash"].clone())));
        commit_item::seal(&mut item);
        self.put_commit_item(item).await;
    }

    /// Reads the item of a commit.
    pub async fn commit_item(&self, order_id: &str, version: u64) -> Option<Item> {
        let get = self.direct.dynamo.client.get_item().table_name(&*self.direct.tables.get("events").unwrap());
        let get = get.key("stream", AttributeValue::S(format!("order#{order_id}"))).consistent_read(true);
        get.key("version", AttributeValue::N(version.to_string())).send().await.unwrap().item
    }

    /// Reads the items of all commits.
    pub async fn commit_items(&self) -> Vec<Item> {
        let scan = self.direct.dynamo.client.scan().table_name(&*self.direct.tables.get("events").unwrap());
        let items: Result<Vec<_>, _> = scan.consistent_read(true).into_paginator().items().send().collect().await;
        items.unwrap()
    }

    /// Writes the item of a commit without any validation.
    pub async fn put_commit_item(&self, item: Item) {
        let put = self.direct.dynamo.client.put_item().table_name(&*self.direct.tables.get("events").unwrap());
        put.set_item(Some(item)).send().await.unwrap();
    }

    /// Removes a commit.
    pub async fn delete_commit_item(&self, order_id: &str, version: u64) {
        let delete = self.direct.dynamo.client.delete_item();
        let delete = delete.table_name(&*self.direct.tables.get("events").unwrap());
        let delete = delete.key("stream", AttributeValue::S(format!("order#{order_id}")));
        delete.key("version", AttributeValue::N(version.to_string())).send().await.unwrap();
    }

    /// A second mapping at the beginning of the stream. It delivers all records again.
    pub fn replaying_mapping(&self) -> EventSourceMapping {
        mapping_of(&self.stack, "projector")
    }

    /// A caller with these scopes.
    pub fn caller(&self, sub: &str, scope: &str) -> TestCaller<'_> {
        self.bearer(self.stack.authorizer.token(sub, scope, FAR_FUTURE).unwrap())
    }

    /// A caller with this token.
    pub fn bearer(&self, token: String) -> TestCaller<'_> {
        TestCaller { system: self, token: Some(token) }
    }

    /// A caller with the scopes of a customer.
    pub fn customer(&self, sub: &str) -> TestCaller<'_> {
        self.caller(sub, "orders/write orders/read")
    }

    /// A caller with the scope of the warehouse.
    pub fn fulfilment(&self) -> TestCaller<'_> {
        self.caller("warehouse", "orders/fulfil")
    }

    /// A caller without a token. Unless tokens are required, it is an operator with all scopes.
    pub fn operator(&self) -> TestCaller<'_> {
        TestCaller { system: self, token: None }
    }
}

/// A clock at the start time of every test, with the environment that reads it.
fn clock() -> (TestClock, Environment) {
    let start: Timestamp = START.parse().unwrap();
    let clock = TestClock(Arc::new(AtomicI64::new(start.as_millisecond())));
    let (time, random) = (clock.clone(), AtomicU64::new(1));
    let environment = Environment::new(
        move || time.now(),
        move || u128::from(random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)).to_be_bytes(),
    );
    (clock, environment)
}

/// Serves the API of a stack. Returns its URL.
async fn serve(stack: &Stack) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = stack.gateway("in-process").into_router();
    tokio::spawn(async move { axum::serve(listener, gateway).await });
    url
}

/// A caller of the API, with or without a token.
pub struct TestCaller<'a> {
    system: &'a System,
    token: Option<String>,
}

impl TestCaller<'_> {
    pub fn get(&self, path: impl AsRef<str>) -> TestRequest {
        self.request(reqwest::Method::GET, path.as_ref())
    }

    /// A POST of an empty JSON object.
    pub fn post(&self, path: impl AsRef<str>) -> TestRequest {
        self.request(reqwest::Method::POST, path.as_ref()).json(&json!({}))
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> TestRequest {
        let request = self.system.client.request(method, format!("{}{path}", self.system.url));
        TestRequest(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    /// Repeats the command until it has an outcome. A 503 is no outcome, and the key makes the repeat safe.
    pub async fn send_until_answered(&self, path: &str, body: &Value, key: &str) -> TestResponse {
        for _ in 0..50 {
            let answer = self.post(path).json(body).header("Idempotency-Key", key).await;
            if answer.status < 500 {
                return answer;
            }
            assert_eq!(answer.status, 503, "{:?}", answer.document);
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
        panic!("{path} has no outcome after 50 requests")
    }

    /// Places an order with this key. Returns its id.
    pub async fn places_order(&self, key: &str) -> String {
        self.post("/orders").json(&order()).header("Idempotency-Key", key).await.expect(201).text("order_id")
    }

    /// Ships the order. Returns its new version.
    pub async fn ships(&self, order_id: &str) -> u64 {
        self.post(format!("/orders/{order_id}/ship")).json(&shipment()).await.expect(200).version()
    }

    /// Cancels the order. Returns its new version.
    pub async fn cancels(&self, order_id: &str) -> u64 {
        self.post(format!("/orders/{order_id}/cancel")).json(&cancellation()).await.expect(200).version()
    }
}

/// A request. Awaiting it sends it.
pub struct TestRequest(RequestBuilder);

impl TestRequest {
    pub fn json(self, document: &Value) -> Self {
        self.body(document.to_string())
    }

    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.body(body)).header("Content-Type", "application/json")
    }

    /// Sets the header, and replaces an earlier value.
    pub fn header(self, name: &str, value: &str) -> Self {
        let headers = reqwest::header::HeaderMap::from_iter([(
            reqwest::header::HeaderName::try_from(name).unwrap(),
            reqwest::header::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )]);
        Self(self.0.headers(headers))
    }

    /// Adds another line of the header.
    pub fn header_line(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }
}

impl IntoFuture for TestRequest {
    type Output = TestResponse;
    type IntoFuture = Pin<Box<dyn Future<Output = TestResponse> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let response = self.0.send().await.expect("a response");
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = response.bytes().await.expect("a complete response");
            let document = serde_json::from_slice(&body).unwrap_or_default();
            TestResponse { status, headers, document }
        })
    }
}

#[derive(Clone, Debug)]
pub struct TestResponse {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub document: Value,
}

impl TestResponse {
    /// Checks the status, the form of a problem, and that no output contained personal data.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}", self.document);
        if status >= 400 {
            canary::record("problem", &self.document.to_string());
        }
        canary::assert_clean();
        if status >= 400 && self.document.get("message").is_none() {
            assert_eq!(self.header("content-type"), Some("application/problem+json"));
            assert_eq!(self.document["status"], json!(status));
        }
        self
    }

    /// Checks the status and the type of a problem.
    #[track_caller]
    pub fn expect_problem(self, status: u16, kind: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.document["type"], type_uri(kind), "{:?}", answer.document);
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn text(&self, field: &str) -> String {
        self.document[field].as_str().unwrap_or_else(|| panic!("no {field} in {:?}", self.document)).to_owned()
    }

    #[track_caller]
    pub fn version(&self) -> u64 {
        self.document["version"].as_u64().unwrap_or_else(|| panic!("no version in {:?}", self.document))
    }

    /// The JSON pointers of the invalid fields.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.document["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

/// A valid order of the caller.
pub fn order() -> Value {
    json!({
        "currency": "EUR",
        "items": [
            { "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 },
            { "sku": "PEN-7", "quantity": 1, "unit_price": 300 },
        ],
        "shipping_address": "1 Main Street, Springfield",
    })
}

pub fn shipment() -> Value {
    json!({ "carrier": "DHL", "tracking_number": "JD0123456789" })
}

pub fn cancellation() -> Value {
    json!({ "reason": "changed my mind" })
}

/// A request as API Gateway passes it to a function, for invocations without the gateway.
pub fn event(method: &str, path: &str, authorizer: Value, body: &str) -> Value {
    let headers = [("content-type", "application/json"), ("x-user", "root"), ("authorization", "Bearer whatever")];
    let event = ApiEvent {
        method,
        route: path,
        path,
        query: "",
        headers: headers.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect(),
        path_parameters: &[],
        authorizer,
        body: body.as_bytes(),
        now: Timestamp::UNIX_EPOCH,
    };
    event.to_json()
}
