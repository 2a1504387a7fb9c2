//! Executes the command of one message, and reports what is not accepted: a rejection to the bus, a malformed message
//! to the dead-letter queue.

use std::panic::AssertUnwindSafe;

use app::{
    App, Caller, Problem,
    command::{CommandExecutor, CommandOptions},
    problem::causes,
    settings::SettingError,
};
use cqrs::{CloudEvent, StreamId};
use cqrs_dynamodb::{EventStore, Executed, SendError};
use futures_util::FutureExt;
use lambda_runtime::Error;
use serde_json::{Map, Value};

use super::message::{AcceptedCommand, ReadCommand};
use crate::{
    EventBus,
    queue::{NewMessage, QueueClient},
    queue_event::QueueMessage,
};

/// The schema version of the events that report rejections.
const REJECTION_SCHEMA: u32 = 1;
/// The limit for the invalid fields in the attributes of a dead letter.
const MAX_ERRORS: usize = 20;

/// Receives the messages of one invocation.
pub(super) struct Receiver {
    app: App,
    events: EventStore,
    /// The caller of all commands. It comes from the configuration of the queue, never from a message.
    caller: Caller,
    bus: EventBus,
    dead_letters: QueueClient,
}

/// A message with the command that was read from it.
pub(super) struct Received<'a> {
    pub(super) id: &'a str,
    pub(super) message: QueueMessage<'a>,
    /// The name of the kind, and the command; or why the message is malformed.
    command: Result<(Kind, ReadCommand), Problem>,
}

/// The names of a kind of command in its results.
struct Kind {
    rejection_type: String,
    key_name: String,
}

/// The outcome of a message.
#[derive(Debug, PartialEq)]
pub(super) enum MessageOutcome {
    /// The commit is written.
    Accepted,
    /// An earlier delivery wrote the commit.
    Replayed,
    /// The bus has an event with the reason.
    Rejected(&'static str),
    /// The dead-letter queue has the message.
    Malformed,
    /// The message must be delivered again.
    Failed,
}

impl Received<'_> {
    /// Returns the stream of the instance that the message names.
    pub(super) fn stream(&self) -> Option<&StreamId> {
        self.command.as_ref().ok()?.1.stream.as_ref()
    }
}

impl Receiver {
    /// Reads the configuration of the queue: `COMMAND_CALLER` is the subject of all commands, `COMMAND_SCOPES` lists
    /// its scopes, separated by spaces, and `COMMAND_DEAD_LETTERS` is the URL of the queue of malformed messages. The
    /// bus is that of [`EventBus::new`].
    ///
    /// # Errors
    /// The first environment variable that is missing or malformed.
    pub(super) fn new(app: &App) -> Result<Self, Error> {
        let subject = app.aws.variable("COMMAND_CALLER")?;
        let caller = Caller::new(subject, &app.aws.variable("COMMAND_SCOPES")?);
        let caller = caller.ok_or(SettingError::Malformed("COMMAND_CALLER".to_owned(), "1 to 255 characters"))?;
        let (bus, dead_letters) = (EventBus::new(app, None)?, QueueClient::new(app, "COMMAND_DEAD_LETTERS")?);
        Ok(Self { events: app.events()?, app: app.clone(), caller, bus, dead_letters })
    }

    /// Returns the number of version conflicts so far.
    pub(super) fn conflicts(&self) -> usize {
        self.events.conflicts()
    }

    /// Reads a message.
    pub(super) fn read<'a>(
        &self,
        commands: &[AcceptedCommand],
        id: &'a str,
        message: QueueMessage<'a>,
    ) -> Received<'a> {
        let body = message.body().ok_or_else(|| Problem::malformed("The body is not a text."));
        let command = body.and_then(|body| AcceptedCommand::read(commands, body, &self.caller));
        let command = command.map(|(kind, command)| {
            let AcceptedCommand { rejection_type, key_name, .. } = kind;
            (Kind { rejection_type: rejection_type.clone(), key_name: key_name.clone() }, command)
        });
        Received { id, message, command }
    }

    /// Executes the command of a message, and reports its rejection or that it is malformed. A panic fails this message
    /// only.
    pub(super) async fn execute(&self, received: Received<'_>) -> MessageOutcome {
        let id = received.id;
        let outcome = AssertUnwindSafe(self.execute_and_report(received)).catch_unwind().await;
        outcome.unwrap_or_else(|_| {
            tracing::error!(message_id = id, "the command of a message panicked");
            MessageOutcome::Failed
        })
    }

    async fn execute_and_report(&self, received: Received<'_>) -> MessageOutcome {
        let Received { id, message, command } = received;
        let (kind, command) = match command {
            Ok(command) => command,
            Err(problem) => return self.report_malformed(id, message, &problem).await,
        };
        let ReadCommand { stream, key, expected_version, execute } = command;
        let options = CommandOptions {
            key: Some(key.unwrap_or_else(|| id.to_owned())),
            expected_version,
            trace: message.trace(),
        };
        let Self { app, events, caller, .. } = self;
        let executed = execute(&CommandExecutor { app, events, caller, options: &options }).await;
        match executed {
            Ok(Executed { replayed: false, .. }) => MessageOutcome::Accepted,
            Ok(Executed { replayed: true, .. }) => MessageOutcome::Replayed,
            Err(problem) if problem.status().is_client_error() => {
                let event = rejection(&kind, id, stream.as_ref(), options.trace, &problem, self.now());
                self.report_rejection(id, &problem, event).await
            }
            Err(problem) => {
                tracing::warn!(message_id = id, kind = problem.kind(), "a message is delivered again");
                MessageOutcome::Failed
            }
        }
    }

    /// Returns the time, rounded as the time of a commit.
    fn now(&self) -> jiff::Timestamp {
        cqrs::recorded_at(self.app.dynamo.environment.now(), None)
    }

    /// Puts the event that reports a rejection on the bus.
    async fn report_rejection(&self, id: &str, problem: &Problem, event: CloudEvent) -> MessageOutcome {
        match self.bus.put_event(event).await {
            Ok(()) => MessageOutcome::Rejected(problem.kind()),
            Err(error) => {
                tracing::error!(message_id = id, causes = send_causes(&error), "a rejection was not reported");
                MessageOutcome::Failed
            }
        }
    }

    /// Sends a malformed message to the dead-letter queue, with the reason in its attributes.
    async fn report_malformed(&self, id: &str, message: QueueMessage<'_>, problem: &Problem) -> MessageOutcome {
        match self.dead_letters.send(&dead_letter(id, message, problem)).await {
            Ok(()) => {
                tracing::warn!(message_id = id, reason = problem.kind(), "a message is malformed");
                MessageOutcome::Malformed
            }
            Err(error) => {
                tracing::error!(message_id = id, causes = causes(&error), "a malformed message was not moved: {error}");
                MessageOutcome::Failed
            }
        }
    }
}

fn send_causes(error: &SendError) -> String {
    format!("{error}: {}", causes(error))
}

/// Builds the event that reports a rejection. A redelivery of the message builds an event with the same id.
fn rejection(
    kind: &Kind,
    id: &str,
    stream: Option<&StreamId>,
    trace: Option<String>,
    problem: &Problem,
    time: jiff::Timestamp,
) -> CloudEvent {
    let facts = problem.extensions().iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let mut data: Map<String, Value> = facts.collect();
    data.extend(stream.map(|stream| (kind.key_name.clone(), stream.key().into())));
    let texts = [("reason", problem.kind()), ("detail", problem.detail()), ("message_id", id)];
    data.extend(texts.map(|(name, text)| (name.to_owned(), text.into())));
    CloudEvent {
        id: format!("rejection/{id}"),
        event_type: kind.rejection_type.clone(),
        schema: REJECTION_SCHEMA,
        subject: stream.map(StreamId::to_string),
        time,
        sequence: None,
        previous_id: None,
        trace,
        data: data.into(),
    }
}

/// Builds the dead letter of a malformed message: its body unchanged, and in the attributes why it is malformed. The
/// attributes repeat no value of the body.
fn dead_letter(id: &str, message: QueueMessage<'_>, problem: &Problem) -> NewMessage {
    let errors: Vec<_> = problem.errors().iter().take(MAX_ERRORS).collect();
    let errors = if errors.is_empty() { String::new() } else { serde_json::to_string(&errors).unwrap_or_default() };
    NewMessage {
        body: message.body().filter(|body| !body.is_empty()).map_or_else(|| message.to_json(), str::to_owned),
        attributes: vec![
            ("reason", problem.kind().to_owned()),
            ("detail", problem.detail().to_owned()),
            ("errors", errors),
            ("message_id", id.to_owned()),
            ("traceparent", message.trace().unwrap_or_default()),
        ],
        group: message.group().unwrap_or(id).to_owned(),
        deduplication_id: id.to_owned(),
    }
}
