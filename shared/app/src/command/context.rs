//! The context of a command over HTTP: its caller, its headers and its deadline.

use axum::{extract::FromRequestParts, response::Response};
use cqrs::{Aggregate, Event, Id};
use cqrs_dynamodb::EventStore;
use http::{StatusCode, request::Parts};
use lambda_runtime::Context;

use super::{CommandDocument, CommandExecutor, CommandHeaders, JsonBody, RemoteAggregate, outcome};
use crate::{
    App, Caller, Parameters, PathKey, Problem, WithDeadline,
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

impl FromRequestParts<App> for CommandContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Ok(WithDeadline(app)) = WithDeadline::from_request_parts(parts, app).await;
        let caller = Caller::from_request_parts(parts, &app).await?;
        Parameters::from_request_parts(parts, &app).await?.only(&[])?;
        let mut headers = CommandHeaders::from_request_parts(parts, &app).await?;
        let x_ray = parts.extensions.get::<Context>().and_then(|context| context.xray_trace_id.as_deref());
        headers.options.trace = headers.options.trace.or_else(|| traceparent(x_ray?));
        let path = parts.extensions.get::<EventParts>().map(|event| event.path.clone()).unwrap_or_default();
        Ok(Self { events: app.events()?, app, caller, headers, path })
    }
}

/// Handles the request of a route whose command creates an instance. `new_key` chooses its key.
pub(crate) async fn create<D: CommandDocument>(
    context: CommandContext,
    document: D,
    new_key: impl Fn(&CommandExecutor<'_>) -> <D::Aggregate as Aggregate>::Key,
) -> Result<Response, Problem> {
    let command = document.into_command(&context.caller)?;
    context.create::<D::Aggregate>(new_key(&context.executor()), command).await
}

/// Handles the request of a route whose command changes the instance in its path.
pub(crate) async fn execute<D: CommandDocument>(
    context: CommandContext,
    PathKey(key): PathKey<D::Aggregate>,
    JsonBody(document): JsonBody<D>,
) -> Result<Response, Problem> {
    let (key, command) = (key.to_string(), document.into_command(&context.caller)?);
    let result = context.executor().run::<D>(&key, command).await;
    outcome::respond::<D::Aggregate>(StatusCode::OK, &context, &key, result)
}

impl CommandContext {
    /// Returns the id of a new instance. A repeat with the same idempotency key gets the same id.
    pub fn new_id<A: Aggregate>(&self) -> Id<A> {
        self.executor().new_id()
    }

    /// Executes a command that creates the instance `key`. Responds with 201 and its `Location`, below the path of the
    /// request.
    ///
    /// # Errors
    /// 400 for `If-Match`; otherwise the problem of the command.
    pub async fn create<A: RemoteAggregate>(&self, key: A::Key, command: A::Command) -> Result<Response, Problem> {
        self.headers.reject_if_match(&A::Event::noun())?;
        let key = key.to_string();
        let result = self.executor().create::<A>(&key, command).await;
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
    pub async fn execute<A: RemoteAggregate>(
        &self,
        key: A::Key,
        command: A::Command,
        is_authorized: impl Fn(&A) -> bool,
    ) -> Result<Response, Problem> {
        let key = key.to_string();
        let result = self.executor().execute(&key, command, is_authorized).await;
        outcome::respond::<A>(StatusCode::OK, self, &key, result)
    }

    /// Executes a command that creates the instance `key` or continues it. Responds with 200.
    ///
    /// # Errors
    /// 404 if the instance exists and `is_authorized` refuses its state; otherwise the problem of the command.
    pub async fn create_or_execute<A: RemoteAggregate>(
        &self,
        key: A::Key,
        command: A::Command,
        is_authorized: impl Fn(&A) -> bool,
    ) -> Result<Response, Problem> {
        let key = key.to_string();
        let result = self.executor().create_or_execute(&key, command, is_authorized).await;
        outcome::respond::<A>(StatusCode::OK, self, &key, result)
    }

    fn executor(&self) -> CommandExecutor<'_> {
        let Self { app, caller, headers, events, .. } = self;
        CommandExecutor { app, events, caller, options: &headers.options }
    }
}
