//! Executes the commands of a caller, whichever way they come in.

use std::fmt::Display;

use cqrs::{Aggregate, CommandId, Fingerprint, Id, StreamId, Version};
use cqrs_dynamodb::{CommandRequest, EventStore, Executed, StoreError, create, create_or_execute, execute};
use serde::Serialize;

use super::{CommandDocument, CommandTarget, outcome::problem};
use crate::{App, Caller, Problem};

/// An aggregate whose commands clients send.
///
/// The JSON of a command is a part of its stored fingerprint and must not change. The name of a rejection, such as
/// `already-shipped`, is the last segment of the problem's type. Its text is the problem's detail.
pub trait RemoteAggregate: Aggregate<Command: Serialize, Rejection: Copy + Display + Into<&'static str>> {}

impl<A: Aggregate<Command: Serialize, Rejection: Copy + Display + Into<&'static str>>> RemoteAggregate for A {}

/// The options of a command: idempotency key, expected version and trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandOptions {
    /// The idempotency key: identifies a repeat of the command.
    pub key: Option<String>,
    /// The version that the stream must have. `None` accepts any version.
    pub expected_version: Option<Version>,
    /// The W3C `traceparent` of the command.
    pub trace: Option<String>,
}

impl CommandOptions {
    /// Returns whether a text can be an idempotency key: 1 to 255 visible ASCII characters.
    pub fn is_key(text: &str) -> bool {
        (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// Executes commands of one caller.
#[derive(Debug)]
pub struct CommandExecutor<'a> {
    pub app: &'a App,
    /// The event store, limited by the invocation's deadline.
    pub events: &'a EventStore,
    pub caller: &'a Caller,
    pub options: &'a CommandOptions,
}

impl CommandExecutor<'_> {
    /// Returns the id of a new instance. A repeat with the same idempotency key gets the same id.
    pub fn new_id<A: Aggregate>(&self) -> Id<A> {
        match &self.options.key {
            Some(key) => Id::derived(&self.caller.subject, key),
            None => Id::random(self.app.dynamo.environment.random_bytes()),
        }
    }

    /// Executes the command of the document `D` on the instance `key`, which must be the target of `D`.
    ///
    /// # Errors
    /// 403 if the caller lacks a scope; otherwise the problem of the command.
    pub async fn run<D: CommandDocument>(
        &self,
        key: &str,
        command: <D::Aggregate as Aggregate>::Command,
    ) -> Result<Executed, Problem> {
        self.caller.require_any(D::SCOPES)?;
        let is_authorized = |state: &D::Aggregate| D::is_authorized(self.caller, state);
        match D::TARGET {
            CommandTarget::New(_) => self.create::<D::Aggregate>(key, command).await,
            CommandTarget::Existing => self.execute(key, command, is_authorized).await,
            CommandTarget::NewOrExisting => self.create_or_execute(key, command, is_authorized).await,
        }
    }

    /// Executes a command that creates the instance `key`.
    ///
    /// # Errors
    /// The problem of the command.
    pub async fn create<A: RemoteAggregate>(&self, key: &str, command: A::Command) -> Result<Executed, Problem> {
        let request = self.request::<A>(key, command)?;
        create::<A>(self.events, &request, |_| true).await.map_err(problem)
    }

    /// Executes a command on the existing instance `key`.
    ///
    /// # Errors
    /// 404 if the instance does not exist or `is_authorized` refuses its state; otherwise the problem of the command.
    pub async fn execute<A: RemoteAggregate>(
        &self,
        key: &str,
        command: A::Command,
        is_authorized: impl Fn(&A) -> bool,
    ) -> Result<Executed, Problem> {
        let request = self.request::<A>(key, command)?;
        execute::<A>(self.events, &request, is_authorized).await.map_err(problem)
    }

    /// Executes a command that creates the instance `key` or continues it.
    ///
    /// # Errors
    /// 404 if the instance exists and `is_authorized` refuses its state; otherwise the problem of the command.
    pub async fn create_or_execute<A: RemoteAggregate>(
        &self,
        key: &str,
        command: A::Command,
        is_authorized: impl Fn(&A) -> bool,
    ) -> Result<Executed, Problem> {
        let request = self.request::<A>(key, command)?;
        create_or_execute::<A>(self.events, &request, is_authorized).await.map_err(problem)
    }

    /// Builds the request for the event store. Without an idempotency key, the command id is random.
    ///
    /// The fingerprint covers the stream and the command after defaults as JSON. Fingerprints are stored and compared
    /// with later requests, so this encoding must never change. A test compares it with golden values.
    fn request<A: RemoteAggregate>(
        &self,
        key: &str,
        command: A::Command,
    ) -> Result<CommandRequest<A::Command>, StoreError> {
        let canonical = serde_json::to_string(&command).map_err(StoreError::bug)?;
        let stream = StreamId::of::<A::Event>(key);
        Ok(CommandRequest {
            command_id: match &self.options.key {
                Some(key) => CommandId::derived(&self.caller.subject, key),
                None => CommandId::random(self.app.dynamo.environment.random_bytes()),
            },
            fingerprint: Fingerprint::of(&[stream.as_str(), &canonical]),
            stream,
            expected_version: self.options.expected_version,
            caller: self.caller.subject.clone(),
            trace: self.options.trace.clone(),
            command,
        })
    }
}
