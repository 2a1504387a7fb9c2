//! A function that executes the commands in the messages of an SQS queue, as the routes of an API execute those in
//! requests.
//!
//! 1. This file: the declaration of the commands, and one batch.
//! 2. [`message`]: reads a message to a command.
//! 3. [`receiver`]: executes the command of one message, and reports a rejected or malformed one.
//! 4. [`telemetry`]: metrics of a batch.

mod message;
mod receiver;
mod telemetry;

use std::{collections::BTreeMap, fmt, iter};

use app::{App, BatchResponse, command::CommandDocument, start, tables::EVENTS};
use futures_util::future::join_all;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;

use self::{
    message::AcceptedCommand,
    receiver::{MessageOutcome, Received, Receiver},
};
use crate::queue_event::messages;

/// The commands that a queue accepts.
#[derive(Default)]
pub struct CommandQueue {
    commands: Vec<AcceptedCommand>,
}

impl CommandQueue {
    /// The declared names of the tables of the function.
    pub const TABLES: &'static [&'static str] = &[EVENTS];

    /// Declares a queue without commands.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a command. Its messages have the type `<name>-<category>`, such as `ship-order`.
    #[must_use]
    pub fn command<D: CommandDocument>(mut self) -> Self {
        self.commands.push(AcceptedCommand::of::<D>());
        self
    }

    /// Runs the function on Lambda: the only line of its `main`.
    ///
    /// # Errors
    /// The first environment variable that is missing or malformed, or an error of the runtime.
    pub fn run(self) -> Result<(), Error> {
        let check = |app: &App| Receiver::new(app).map(drop);
        let queue = &self;
        start::run_on(Self::TABLES, check, |app, event| async move { queue.handle(&app, event).await })
    }

    /// Executes the commands of a batch. Safe to repeat: an executed command is recognized by its idempotency key.
    ///
    /// The event may be any JSON with a list of messages. The response names the messages that SQS delivers again:
    /// those whose outcome is not known, or could not be reported. Messages for the same instance are executed in their
    /// order. If a message of a FIFO queue fails, the later ones of its group are delivered again with it, and are not
    /// executed before.
    ///
    /// # Errors
    /// If the event has no list of messages, if a message has no id by which the response could name it, or if an
    /// environment variable is missing or malformed.
    pub async fn handle(&self, app: &App, event: LambdaEvent<Value>) -> Result<BatchResponse, Error> {
        let app = app.with_tables(Self::TABLES).with_deadline(event.context.deadline);
        let receiver = Receiver::new(&app)?;
        let messages = messages(&event.payload)?;
        let mut sequences: BTreeMap<Sequence, Vec<Received<'_>>> = BTreeMap::new();
        let mut without_id = false;
        for (index, message) in messages.into_iter().enumerate() {
            let Some(id) = message.id() else {
                without_id = true;
                continue;
            };
            let received = receiver.read(&self.commands, id, message);
            sequences.entry(Sequence::of(index, &received)).or_default().push(received);
        }
        let outcomes: Vec<(&str, MessageOutcome)> =
            join_all(sequences.into_iter().map(|(sequence, messages)| execute_in_order(&receiver, sequence, messages)))
                .await
                .into_iter()
                .flatten()
                .collect();
        telemetry::emit(&app, &outcomes, receiver.conflicts());
        if without_id {
            return Err("a message has no id".into());
        }
        let failed = outcomes.into_iter().filter(|(_, outcome)| matches!(outcome, MessageOutcome::Failed));
        Ok(BatchResponse::failed(failed.map(|(id, _)| id.to_owned())))
    }
}

impl fmt::Debug for CommandQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.commands.iter().map(|command| &command.message_type)).finish()
    }
}

/// Messages that must be executed one after the other.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sequence {
    /// The messages of a group of a FIFO queue.
    Group(String),
    /// The messages for the same stream.
    Stream(String),
    /// A message for a new instance, or a malformed one: its index in the batch.
    Single(usize),
}

impl Sequence {
    fn of(index: usize, received: &Received<'_>) -> Self {
        match (received.message.group(), received.stream()) {
            (Some(group), _) => Self::Group(group.to_owned()),
            (None, Some(stream)) => Self::Stream(stream.to_string()),
            (None, None) => Self::Single(index),
        }
    }
}

/// Executes messages one after the other. Returns the outcome of each.
async fn execute_in_order<'a>(
    receiver: &Receiver,
    sequence: Sequence,
    messages: Vec<Received<'a>>,
) -> Vec<(&'a str, MessageOutcome)> {
    let stops = matches!(sequence, Sequence::Group(_));
    let mut outcomes = Vec::with_capacity(messages.len());
    let mut messages = messages.into_iter();
    for received in messages.by_ref() {
        let id = received.id;
        let outcome = receiver.execute(received).await;
        let is_last = stops && matches!(outcome, MessageOutcome::Failed);
        outcomes.push((id, outcome));
        if is_last {
            break;
        }
    }
    outcomes.extend(messages.map(|received| received.id).zip(iter::repeat_with(|| MessageOutcome::Failed)));
    outcomes
}
