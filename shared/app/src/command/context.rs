//! The context of a command: its caller, its headers and its deadline.

use std::fmt::Display;

use axum::{extract::FromRequestParts, response::Response};
use cqrs::{Aggregate, Event, Fingerprint, Id, StreamId};
use cqrs_dynamodb::{CommandRequest, EventStore, StoreError, create, create_or_execute, execute};
use http::{StatusCode, request::Parts};
use lambda_runtime::Context;
use serde::Serialize;

use super::{CommandHeaders, outcome};
use crate::{
    App, Caller, Parameters, Problem, WithDeadline,
    http_event::{EventParts, percent_encode_path},
    trace::traceparent,
};

/// Executes the command of one request.
pub struct CommandContext {
    pub app: App,
    pub caller: Caller,
    pub headers: CommandHeaders,
    /// The event store, limited by the invocation's deadline.
    pub(crate) events: EventStore,
    /// The path of the request, decoded.
    path: String,
}

/// An aggregate whose commands an HTTP API accepts.
///
/// The JSON of a command is a part of its stored fingerprint and must not change. The name of a rejection, such as
/// `already-shipped`, is the last segment of the problem's type. Its text is the problem's detail.
pub trait HttpAggregate: Aggregate<Command: Serialize, Rejection: Copy + Display + Into<&'static str>> {}

impl<A: Aggregate<Command: Serialize, Rejection: Copy + Display + Into<&'static str>>> HttpAggregate for A {}

impl FromRequestParts<App> for CommandContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Ok(WithDeadline(app)) = WithDeadline::from_request_parts(parts, app).await;
        let caller = Caller::from_request_parts(parts, &app).await?;
        Parameters::from_request_parts(parts, &app).await?.only(&[])?;
        let mut headers = CommandHeaders::from_request_parts(parts, &app).await?;
        let x_ray = parts.extensions.get::<Context>().and_then(|context| context.xray_trace_id.as_deref());
        headers.trace = headers.trace.or_else(|| traceparent(x_ray?));
        let path = parts.extensions.get::<EventParts>().map(|event| event.path.clone()).unwrap_or_default();
        Ok(Self { events: app.events()?, app, caller, headers, path })
    }
}

impl CommandContext {
    /// Returns the id of a new instance. A repeat with the same idempotency key gets the same id.
    pub fn new_id<A: Aggregate>(&self) -> Id<A> {
        match &self.headers.key {
            Some(key) => Id::derived(&self.caller.subject, key),
            None => Id::random(self.app.dynamo.environment.random_bytes()),
        }
    }

    /// Executes a command that creates the instance `key`. Responds with 201 and its `Location`, below the path of the
    /// request.
    ///
    /// # Errors
    /// 400 for `If-Match`; otherwise the problem of the command.
    pub async fn create<A: HttpAggregate>(&self, key: A::Key, command: A::Command) -> Result<Response, Problem> {
        self.headers.reject_if_match(&A::Event::noun())?;
        let key = key.to_string();
        let request = self.request::<A>(&key, command)?;
        let result = create::<A>(&self.events, &request, |_| true).await;
        let mut response = outcome::respond::<A>(StatusCode::CREATED, self, &key, result)?;
        // A path that begins with two slashes would be a URL of another host.
        let path = match self.path.trim_matches('/') {
            "" => format!("/{key}"),
            path => format!("/{path}/{key}"),
        };
        outcome::add_location(&mut response, &percent_encode_path(&path));
        Ok(response)
    }

    /// Executes a command on the existing instance `key`. Responds with 200.
    ///
    /// # Errors
    /// 404 if the instance does not exist or `is_authorized` refuses its state; otherwise the problem of the command.
    pub async fn execute<A: HttpAggregate>(
        &self,
        key: A::Key,
        command: A::Command,
        is_authorized: impl Fn(&A) -> bool,
    ) -> Result<Response, Problem> {
        let key = key.to_string();
        let request = self.request::<A>(&key, command)?;
        let result = execute::<A>(&self.events, &request, is_authorized).await;
        outcome::respond::<A>(StatusCode::OK, self, &key, result)
    }

    /// Executes a command that creates the instance `key` or continues it. Responds with 200.
    ///
    /// # Errors
    /// 404 if the instance exists and `is_authorized` refuses its state; otherwise the problem of the command.
    pub async fn create_or_execute<A: HttpAggregate>(
        &self,
        key: A::Key,
        command: A::Command,
        is_authorized: impl Fn(&A) -> bool,
    ) -> Result<Response, Problem> {
        let key = key.to_string();
        let request = self.request::<A>(&key, command)?;
        let result = create_or_execute::<A>(&self.events, &request, is_authorized).await;
        outcome::respond::<A>(StatusCode::OK, self, &key, result)
    }

    /// Builds the request for the event store.
    ///
    /// The fingerprint covers the stream and the command after defaults as JSON. Fingerprints are stored and compared
    /// with later requests, so this encoding must never change. A test compares it with golden values.
    fn request<A: HttpAggregate>(&self, key: &str, command: A::Command) -> Result<CommandRequest<A::Command>, Problem> {
        let canonical = serde_json::to_string(&command).map_err(StoreError::bug)?;
        let stream = StreamId::of::<A::Event>(key);
        Ok(CommandRequest {
            command_id: self.headers.command_id(&self.caller, &self.app.dynamo.environment),
            fingerprint: Fingerprint::of(&[stream.as_str(), &canonical]),
            stream,
            expected_version: self.headers.expected_version,
            caller: self.caller.subject.clone(),
            trace: self.headers.trace.clone(),
            command,
        })
    }
}
