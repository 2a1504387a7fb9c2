//! The context of a command: its caller, its headers and its deadline.

use app::{App, Caller, Problem, WithDeadline, trace::traceparent};
use axum::extract::FromRequestParts;
use cqrs::{Fingerprint, StreamId};
use cqrs_dynamodb::{CommandRequest, EventStore, StoreError};
use http::request::Parts;
use lambda_http::RequestExt;
use orders::{OrderCommand, OrderEvent, order::OrderId};

use crate::headers::CommandHeaders;

/// The context of a command.
pub(crate) struct CommandContext {
    pub(crate) app: App,
    pub(crate) caller: Caller,
    pub(crate) headers: CommandHeaders,
    /// The event store, until the deadline.
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
    /// The command, as it is carried out and recorded. Its fingerprint is over route, order and the canonical request
    /// after defaults; golden ones are tested, because stored ones are compared with it for ever.
    ///
    /// # Errors
    /// 500 if the command cannot be serialised: a defect of its type.
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
