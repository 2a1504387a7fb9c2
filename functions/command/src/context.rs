//! The context of a command: its caller, its headers and its deadline.

use app::{App, Caller, Problem, WithDeadline, trace::traceparent};
use axum::extract::FromRequestParts;
use cqrs::{Fingerprint, StreamId};
use cqrs_dynamodb::{CommandRequest, EventStore, StoreError};
use http::request::Parts;
use lambda_http::RequestExt;
use orders::{OrderCommand, OrderEvent, order::OrderId};

use crate::headers::CommandHeaders;

pub(crate) struct CommandContext {
    pub(crate) app: App,
    pub(crate) caller: Caller,
    pub(crate) headers: CommandHeaders,
    /// The event store, limited by the invocation's deadline.
    pub(crate) events: EventStore,
}

impl FromRequestParts<App> for CommandContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Ok(WithDeadline(app)) = WithDeadline::from_request_parts(parts, app).await;
        let caller = Caller::from_request_parts(parts, &app).await?;
        let mut headers = CommandHeaders::from_request_parts(parts, &app).await?;
        headers.trace = headers.trace.or_else(|| traceparent(parts.lambda_context_ref()?.xray_trace_id.as_deref()?));
        Ok(Self { events: app.events(), app, caller, headers })
    }
}

impl CommandContext {
    /// Builds the request for [`create`](cqrs_dynamodb::create) or [`execute`](cqrs_dynamodb::execute()).
    ///
    /// The fingerprint covers the route, the order id, and the command after defaults as JSON. Fingerprints are stored
    /// and compared with later requests, so this encoding must never change. A test compares it with golden values.
    ///
    /// # Errors
    /// 500 if the command does not serialize, which is a defect of its type.
    pub(crate) fn request(
        &self,
        route: &str,
        order_id: OrderId,
        command: OrderCommand,
    ) -> Result<CommandRequest<OrderCommand>, Problem> {
        let canonical = serde_json::to_string(&command).map_err(StoreError::bug)?;
        Ok(CommandRequest {
            stream: StreamId::of::<OrderEvent>(order_id),
            command_id: self.headers.command_id(&self.caller, &self.app.dynamo.environment),
            fingerprint: Fingerprint::of(&[route, &order_id.to_string(), &canonical]),
            expected_version: self.headers.expected_version,
            caller: self.caller.subject.clone(),
            trace: self.headers.trace.clone(),
            command,
        })
    }
}
