//! System tests of a project: its whole system in the test's process, with requests over HTTP and a projector that the
//! test steps by hand.
//!
//! ```text
//! #[tokio::test]
//! async fn an_opened_loan_can_be_read() {
//!     let system = TestSystem::start(deployment()).await;
//!     let alice = system.caller("alice", "loans/write loans/read");
//!     let id = alice.post("/loans", "first", json!({ "title": "Dune" })).await.expect(201).text("loan_id");
//!     system.project().await;
//!     alice.get(&format!("/loans/{id}")).await.expect(200);
//! }
//! ```
//!
//! [`assert_template`] compares the template of the project with its code. [`assert_public_schemas`] refuses changes of
//! public events that other systems cannot read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure of a test system must fail the test")]

mod public_events;
mod template;

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use cqrs_dynamodb::Environment;
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, header::HeaderMap};
use serde_json::Value;
use tokio::{net::TcpListener, sync::Mutex};

pub use self::{
    public_events::{assert_public_samples, assert_public_schemas},
    template::assert_template,
};
use crate::{
    Deployment, Engine, Stack, Template, authorizer::Authorizer, event_source_mapping::EventSourceMapping,
    queue_mapping::QueueMapping,
};

/// The time at which every test starts. Each read of the clock advances it by a millisecond.
pub const START: &str = "2026-11-22T10:00:00Z";

/// The expiry of tokens: 2100-01-01, in seconds since 1970. The authorizer uses the machine's clock.
const FAR_FUTURE: i64 = 4_102_444_800;

/// A system with its own embedded DynamoDB.
pub struct TestSystem {
    pub stack: Stack,
    url: String,
    client: Client,
    clock: Arc<AtomicI64>,
    mappings: Mutex<Vec<EventSourceMapping>>,
    queue_mappings: Mutex<Vec<QueueMapping>>,
}

impl TestSystem {
    /// Starts the system of `deployment`, with tokens required.
    ///
    /// # Panics
    /// If the system does not start, for example because its template does not match its functions.
    pub async fn start(deployment: Deployment) -> Self {
        let start: Timestamp = START.parse().unwrap();
        let clock = Arc::new(AtomicI64::new(start.as_millisecond()));
        let (time, random) = (Arc::clone(&clock), AtomicU64::new(1));
        let environment = Environment::new(
            move || Timestamp::from_millisecond(time.fetch_add(1, Ordering::SeqCst)).unwrap(),
            move || u128::from(random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)).to_be_bytes(),
        );
        let template = Template::read(&deployment.template).unwrap_or_else(|error| panic!("{error}"));
        let authorizer = Authorizer::new().unwrap().required(true);
        let stack = Stack::start(deployment, template, Engine::embedded().unwrap(), authorizer, environment, "");
        let stack = stack.await.unwrap_or_else(|error| panic!("{error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gateway = stack.gateway("in-process").into_router();
        tokio::spawn(async move { axum::serve(listener, gateway).await });
        // The engine gives the records their times by the clock of the machine.
        let mappings = stack.event_source_mappings().into_iter();
        let mappings = mappings.map(|mapping| mapping.with_stream_environment(Environment::system()));
        let mappings = Mutex::new(mappings.collect());
        let queue_mappings = Mutex::new(stack.queue_mappings());
        Self { stack, url, client: Client::new(), clock, mappings, queue_mappings }
    }

    /// Delivers the stream until it is empty. Without a call, views are not updated.
    ///
    /// # Panics
    /// If the stream cannot be read.
    pub async fn project(&self) {
        for mapping in self.mappings.lock().await.iter_mut() {
            mapping.drain().await.unwrap();
        }
    }

    /// Delivers the stream and all queues until nothing is left that is visible now. Schedules that are due fire.
    ///
    /// # Panics
    /// If a message fails too often, or the stream cannot be read.
    pub async fn settle(&self) {
        loop {
            self.project().await;
            let mut batches = 0;
            for mapping in self.queue_mappings.lock().await.iter_mut() {
                batches += mapping.drain().await.unwrap();
            }
            if batches == 0 {
                return;
            }
        }
    }

    /// Invokes a function with an event in JSON, as Lambda does. Returns its answer.
    ///
    /// # Panics
    /// If there is no such function, or it fails.
    pub async fn invoke(&self, function: &str, event: &str) -> Value {
        let function = self.stack.function(function).unwrap_or_else(|| panic!("no function {function}"));
        let now_ms = self.stack.app.dynamo.environment.now().as_millisecond();
        function.invoke(serde_json::from_str(event).unwrap(), now_ms).await.unwrap()
    }

    /// Moves the clock forward.
    pub fn advance_ms(&self, milliseconds: u32) {
        self.clock.fetch_add(milliseconds.into(), Ordering::SeqCst);
    }

    /// Returns a caller with these scopes, separated by spaces.
    ///
    /// # Panics
    /// If the token cannot be signed.
    pub fn caller(&self, subject: &str, scopes: &str) -> TestCaller<'_> {
        TestCaller { system: self, token: self.stack.authorizer.token(subject, scopes, FAR_FUTURE).unwrap() }
    }
}

/// A caller of the API.
pub struct TestCaller<'a> {
    system: &'a TestSystem,
    token: String,
}

impl TestCaller<'_> {
    /// Reads a path with its query.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn get(&self, path: &str) -> TestResponse {
        self.send(self.system.client.get(format!("{}{path}", self.system.url))).await
    }

    /// Sends a command with this idempotency key.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn post(&self, path: &str, key: &str, body: Value) -> TestResponse {
        let request = self.system.client.post(format!("{}{path}", self.system.url));
        self.send(request.header("Idempotency-Key", key).json(&body)).await
    }

    async fn send(&self, request: RequestBuilder) -> TestResponse {
        let response = request.bearer_auth(&self.token).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        TestResponse { status, headers, document: serde_json::from_slice(&body).unwrap_or_default() }
    }
}

/// A response of the API.
#[derive(Clone, Debug)]
pub struct TestResponse {
    pub status: u16,
    headers: HeaderMap,
    /// The body, or null if it is not JSON.
    pub document: Value,
}

impl TestResponse {
    /// Asserts the status.
    ///
    /// # Panics
    /// If the status is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.document);
        self
    }

    /// Returns a header, if it is present and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns a field of the document as text.
    ///
    /// # Panics
    /// If the document has no such field.
    #[track_caller]
    pub fn text(&self, field: &str) -> String {
        self.document[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.document)).to_owned()
    }
}
