//! The event source mapping from a queue to a function, by the rules of Lambda.
//!
//! [`rules`]: the events, and the outcome of a batch; pure. [`QueueMapping`]: receives, delivers and deletes messages.

pub mod rules;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use aws_sdk_sqs::{
    error::DisplayErrorContext,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName,
    },
};
use cqrs_dynamodb::Environment;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::{SignedDuration, Timestamp};

use self::rules::{MessageBatch, QueueOutcome};
use crate::{chaos::Chaos, functions::Function, template::QueueMappingDefinition};

/// The pause between two polls of an empty queue.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The pause after a failed call.
const ERROR_PAUSE: Duration = Duration::from_secs(10);
/// The most messages of one call.
const MAX_MESSAGES: usize = 10;
/// The number of concurrent batches without a `ScalingConfig`. Lambda begins with five, and then scales up.
const CONCURRENCY: usize = 5;
/// The number of failed deliveries in a row after which [`QueueMapping::drain`] fails.
const MAX_FAILURES_IN_A_ROW: usize = 200;

/// A queue, as its mapping calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueAddress {
    pub url: String,
    pub arn: String,
}

/// Receives the messages of one queue, and delivers them to one function.
///
/// A message that was delivered with success is deleted. Any other becomes visible again after the queue's visibility
/// timeout, until the queue moves it to its dead-letter queue.
pub struct QueueMapping {
    sqs: aws_sdk_sqs::Client,
    queue: QueueAddress,
    definition: QueueMappingDefinition,
    function: Function,
    environment: Environment,
    chaos: Option<Arc<Chaos>>,
    /// Received messages that are in no batch yet.
    gathered: Vec<Message>,
    /// The receive of the first of them.
    gathering_since: Timestamp,
}

/// The result of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueStep {
    /// The queue has no visible message.
    Idle,
    Delivered(QueueOutcome),
}

type FinishedBatch = (Vec<Message>, QueueOutcome);

impl QueueMapping {
    /// A mapping that calls SQS through `sqs`.
    pub fn new(
        sqs: aws_sdk_sqs::Client,
        queue: QueueAddress,
        definition: QueueMappingDefinition,
        function: Function,
        environment: Environment,
    ) -> Self {
        let (gathered, gathering_since) = (Vec::new(), Timestamp::MIN);
        Self { sqs, queue, definition, function, environment, chaos: None, gathered, gathering_since }
    }

    /// The logical id of the queue.
    pub fn queue(&self) -> &str {
        &self.definition.queue
    }

    /// Delivers with the faults of `chaos`.
    #[must_use]
    pub fn with_chaos(self, chaos: Arc<Chaos>) -> Self {
        Self { chaos: Some(chaos), ..self }
    }

    /// Delivers batches until the queue has no visible message. Retries at once. Returns the number of batches.
    ///
    /// # Errors
    /// Fails if a call fails, or if too many deliveries fail in a row.
    pub async fn drain(&mut self) -> Result<usize, String> {
        let (mut batches, mut failures) = (0, 0);
        while failures < MAX_FAILURES_IN_A_ROW {
            match self.step().await? {
                QueueStep::Idle => return Ok(batches),
                QueueStep::Delivered(QueueOutcome::Success) => failures = 0,
                QueueStep::Delivered(QueueOutcome::Failed(_)) => failures += 1,
            }
            batches += 1;
        }
        Err(format!("{MAX_FAILURES_IN_A_ROW} deliveries of {} failed in a row", self.definition.queue))
    }

    /// Delivers one batch at once, without regard to the batching window. Makes the messages that fail visible again at
    /// once.
    ///
    /// # Errors
    /// Fails if a call fails.
    pub async fn step(&mut self) -> Result<QueueStep, String> {
        self.gather().await?;
        if self.gathered.is_empty() {
            return Ok(QueueStep::Idle);
        }
        let batch = std::mem::take(&mut self.gathered);
        let (messages, outcome) = self.deliver(batch).await;
        self.finish(&messages, &outcome).await?;
        if let QueueOutcome::Failed(ids) = &outcome {
            self.make_visible(&messages, ids).await?;
        }
        Ok(QueueStep::Delivered(outcome))
    }

    /// Delivers batches for ever.
    pub async fn run(mut self) {
        let concurrency = self.definition.max_concurrency.unwrap_or(CONCURRENCY).max(1);
        let mut in_flight: FuturesUnordered<BoxFuture<'static, FinishedBatch>> = FuturesUnordered::new();
        loop {
            let mut pause = POLL_INTERVAL;
            while in_flight.len() < concurrency {
                if let Err(error) = self.gather().await {
                    tracing::error!("receiving from {} failed: {error}", self.definition.queue);
                    pause = ERROR_PAUSE;
                    break;
                }
                if !self.is_gathered() {
                    break;
                }
                let batch = std::mem::take(&mut self.gathered);
                in_flight.push(self.deliver(batch));
            }
            tokio::select! {
                Some((messages, outcome)) = in_flight.next(), if !in_flight.is_empty() => {
                    if let Err(error) = self.finish(&messages, &outcome).await {
                        // The messages become visible again, and are delivered twice.
                        tracing::error!("deleting from {} failed: {error}", self.definition.queue);
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Receives messages until a batch is full or the queue has no visible message.
    async fn gather(&mut self) -> Result<(), String> {
        let size = self.definition.batch_size.max(1);
        while self.gathered.len() < size {
            let max = MAX_MESSAGES.min(size - self.gathered.len());
            let receive = self.sqs.receive_message().queue_url(&self.queue.url);
            let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
            let receive =
                receive.message_attribute_names("All").max_number_of_messages(i32::try_from(max).unwrap_or(1));
            let received = receive.send().await.map_err(|error| DisplayErrorContext(error).to_string())?;
            let messages = received.messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            if self.gathered.is_empty() {
                self.gathering_since = self.environment.now();
            }
            self.gathered.extend(messages);
        }
        Ok(())
    }

    /// Returns whether a batch is full, or its batching window has ended.
    fn is_gathered(&self) -> bool {
        let window = SignedDuration::try_from(self.definition.window).unwrap_or(SignedDuration::MAX);
        let is_due = || self.environment.now() >= self.gathering_since.saturating_add(window).unwrap_or(Timestamp::MAX);
        self.gathered.len() >= self.definition.batch_size || (!self.gathered.is_empty() && is_due())
    }

    fn deliver(&self, messages: Vec<Message>) -> BoxFuture<'static, FinishedBatch> {
        let (function, chaos) = (self.function.clone(), self.chaos.clone());
        let (now, reports) = (self.environment.now().as_millisecond(), self.definition.reports_failures);
        let (batch, queue) = (MessageBatch::of(&messages, &self.queue.arn), self.definition.queue.clone());
        Box::pin(async move {
            let outcome = match chaos {
                Some(chaos) => chaos.deliver_messages(&function, &batch, reports, now).await,
                None => match function.invoke(batch.event(), now).await {
                    Ok(answer) => rules::outcome(&answer, &batch, reports),
                    Err(error) => {
                        tracing::warn!("the invocation for messages of {queue} failed: {error}");
                        batch.all_failed()
                    }
                },
            };
            (messages, outcome)
        })
    }

    /// Deletes the messages that did not fail.
    async fn finish(&self, messages: &[Message], outcome: &QueueOutcome) -> Result<(), String> {
        let succeeded = messages.iter().filter(|message| !outcome.has_failed(message.message_id().unwrap_or_default()));
        let entry = |(number, message): (usize, &Message)| {
            let receipt = message.receipt_handle().unwrap_or_default();
            DeleteMessageBatchRequestEntry::builder().id(number.to_string()).receipt_handle(receipt).build()
        };
        let entries: Result<Vec<_>, _> = succeeded.enumerate().map(entry).collect();
        for entries in entries.map_err(|error| error.to_string())?.chunks(MAX_MESSAGES) {
            let delete = self.sqs.delete_message_batch().queue_url(&self.queue.url);
            let deleted = delete.set_entries(Some(entries.to_vec())).send().await;
            let deleted = deleted.map_err(|error| DisplayErrorContext(error).to_string())?;
            if let Some(failed) = deleted.failed().first() {
                return Err(format!("{}: {}", failed.code(), failed.message().unwrap_or_default()));
            }
        }
        Ok(())
    }

    async fn make_visible(&self, messages: &[Message], failed: &BTreeSet<String>) -> Result<(), String> {
        let failed = messages.iter().filter(|message| message.message_id().is_some_and(|id| failed.contains(id)));
        let entry = |(number, message): (usize, &Message)| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(number.to_string());
            entry.receipt_handle(message.receipt_handle().unwrap_or_default()).visibility_timeout(0).build()
        };
        let entries: Result<Vec<_>, _> = failed.enumerate().map(entry).collect();
        for entries in entries.map_err(|error| error.to_string())?.chunks(MAX_MESSAGES) {
            let change = self.sqs.change_message_visibility_batch().queue_url(&self.queue.url);
            // An entry fails if the message is visible already, because the invocation took longer than its timeout.
            let changed = change.set_entries(Some(entries.to_vec())).send().await;
            changed.map_err(|error| DisplayErrorContext(error).to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
