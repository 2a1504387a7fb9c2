//! An SQS queue (Amazon SQS Developer Guide).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{recorded::RecordedMap, service_error::ServiceError};

/// The most bytes of a message with its attributes (SQS API Reference, `SendMessage`, 2026). It was 256 KiB before.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// The time for which a FIFO queue recognises a deduplication id.
const DEDUPLICATION: SignedDuration = SignedDuration::from_secs(300);
/// The longest delay of a message, in seconds.
const MAX_DELAY: u64 = 900;
/// The longest visibility timeout, in seconds.
const MAX_VISIBILITY_TIMEOUT: u64 = 43_200;

/// The properties of a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueDefinition {
    pub visibility_timeout: Duration,
    /// Older messages are deleted.
    pub retention: Duration,
    /// Messages are delivered only after it.
    pub delay: Duration,
    pub redrive: Option<RedrivePolicy>,
    pub fifo: bool,
    /// The deduplication id of a message is the digest of its body, unless it has its own.
    pub content_based_deduplication: bool,
}

/// Where a queue moves the messages that cannot be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The logical id of the dead-letter queue in a template, and its name in a [`Queue`].
    pub dead_letters: String,
    pub max_receives: u32,
}

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutgoingMessage {
    pub body: String,
    /// Names with `DataType` and `StringValue` or `BinaryValue`.
    pub attributes: Map<String, Value>,
    pub delay: Option<Duration>,
    pub group: Option<String>,
    pub deduplication_id: Option<String>,
}

/// A message in a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueuedMessage {
    pub id: Uuid,
    pub body: String,
    pub attributes: Map<String, Value>,
    pub sent_at: Timestamp,
    pub first_received_at: Option<Timestamp>,
    /// The number of times that it was received.
    pub receives: u32,
    pub group: Option<String>,
    pub deduplication_id: Option<String>,
    /// It is not received before this time.
    visible_at: Timestamp,
    /// The handle of the last receive.
    receipt: Option<String>,
}

/// The id and the sequence number of a sent message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMessage {
    pub id: Uuid,
    pub sequence: u64,
}

/// A message that a FIFO queue has accepted, for recognising its repeats.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AcceptedMessage {
    message: SentMessage,
    at: Timestamp,
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedMessage {
    pub sequence: u64,
    pub receipt: String,
    pub message: QueuedMessage,
}

/// The messages of one receive.
#[derive(Debug, Default)]
pub struct ReceiveResult {
    pub received: Vec<ReceivedMessage>,
    /// Messages that were received too often. They are no longer in the queue.
    pub dead: Vec<QueuedMessage>,
}

/// The changed entries of a queue by their keys. `None` is a removed entry.
#[derive(Debug)]
pub struct QueueChanges<'a> {
    pub messages: Vec<(u64, Option<&'a QueuedMessage>)>,
    pub accepted: Vec<(String, Option<&'a AcceptedMessage>)>,
}

/// The approximate numbers of messages in a queue, which are exact here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    pub visible: usize,
    pub in_flight: usize,
    pub delayed: usize,
}

/// A queue with its messages, by sequence number.
#[derive(Clone, Debug)]
pub struct Queue {
    pub definition: QueueDefinition,
    messages: RecordedMap<u64, QueuedMessage>,
    accepted: RecordedMap<String, AcceptedMessage>,
    next: u64,
}

impl Default for QueueDefinition {
    /// The defaults of SQS.
    fn default() -> Self {
        Self {
            visibility_timeout: Duration::from_secs(30),
            retention: Duration::from_secs(345_600),
            delay: Duration::ZERO,
            redrive: None,
            fifo: false,
            content_based_deduplication: false,
        }
    }
}

impl Queue {
    /// An empty queue.
    pub fn new(definition: QueueDefinition) -> Self {
        Self { definition, messages: RecordedMap::default(), accepted: RecordedMap::default(), next: 1 }
    }

    /// A queue with stored messages, and with the stored messages that a FIFO queue has accepted.
    pub fn restored(
        definition: QueueDefinition,
        messages: BTreeMap<u64, QueuedMessage>,
        accepted: BTreeMap<String, AcceptedMessage>,
    ) -> Self {
        let accepted_sequences = accepted.values().map(|accepted| accepted.message.sequence);
        let last = accepted_sequences.chain(messages.keys().copied()).max().unwrap_or_default();
        let (messages, accepted) = (RecordedMap::of(messages), RecordedMap::of(accepted));
        Self { definition, messages, accepted, next: last + 1 }
    }

    /// The changes since the last call, for storage.
    pub fn take_changes(&mut self) -> QueueChanges<'_> {
        QueueChanges { messages: self.messages.take_changes(), accepted: self.accepted.take_changes() }
    }

    /// Adds a message with this id at `now`. Returns the earlier message if a FIFO queue recognises a repeat.
    ///
    /// # Errors
    /// Fails if the queue does not accept the message.
    pub fn send(&mut self, message: OutgoingMessage, id: Uuid, now: Timestamp) -> Result<SentMessage, ServiceError> {
        check(&message)?;
        if !self.definition.fifo && message.deduplication_id.is_some() {
            return Err(invalid("MessageDeduplicationId is only valid for a FIFO queue"));
        }
        if !self.definition.fifo {
            return Ok(self.add(message, id, now));
        }
        if message.group.is_none() {
            let reason = "The request must contain the parameter MessageGroupId.";
            return Err(ServiceError::new("MissingParameter", reason));
        }
        if message.delay.is_some_and(|delay| !delay.is_zero()) {
            return Err(invalid("DelaySeconds of a message is not valid for a FIFO queue"));
        }
        let of_content = || self.definition.content_based_deduplication.then(|| digest_of(&message.body));
        let key = message.deduplication_id.clone().or_else(of_content).ok_or_else(|| {
            invalid("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided")
        })?;
        for expired in self.accepted.keys_where(|accepted| now >= accepted.at + DEDUPLICATION) {
            self.accepted.remove(&expired);
        }
        if let Some(accepted) = self.accepted.get(&key) {
            return Ok(accepted.message.clone());
        }
        let sent = self.add(OutgoingMessage { deduplication_id: Some(key.clone()), ..message }, id, now);
        self.accepted.insert(key, AcceptedMessage { message: sent.clone(), at: now });
        Ok(sent)
    }

    /// Receives at most `max` messages, which are then invisible for `timeout`, or the queue's own timeout. `new_receipt`
    /// creates the unique part of a receipt handle.
    ///
    /// A FIFO queue gives no message of a group with messages in flight.
    pub fn receive(
        &mut self,
        max: usize,
        timeout: Option<Duration>,
        now: Timestamp,
        mut new_receipt: impl FnMut() -> String,
    ) -> ReceiveResult {
        let until = later(now, timeout.unwrap_or(self.definition.visibility_timeout));
        let blocked = self.groups_in_flight(now);
        let mut result = ReceiveResult::default();
        for sequence in self.messages.keys_where(|message| message.visible_at <= now) {
            if result.received.len() >= max {
                break;
            }
            let Some(message) = self.messages.get(&sequence) else { continue };
            if message.group.as_ref().is_some_and(|group| blocked.contains(group)) {
                continue;
            }
            if self.definition.redrive.as_ref().is_some_and(|redrive| message.receives >= redrive.max_receives) {
                result.dead.extend(self.messages.remove(&sequence));
                continue;
            }
            let Some(message) = self.messages.get_mut(&sequence) else { continue };
            let receipt = format!("{sequence}:{}", new_receipt());
            message.receives += 1;
            message.visible_at = until;
            message.receipt = Some(receipt.clone());
            message.first_received_at.get_or_insert(now);
            result.received.push(ReceivedMessage { sequence, receipt, message: message.clone() });
        }
        result
    }

    /// Deletes the message of a receipt handle. The handle of an earlier receive has no effect on a standard queue.
    ///
    /// # Errors
    /// Fails if the handle is malformed, or if it has expired in a FIFO queue.
    pub fn delete(&mut self, receipt: &str, now: Timestamp) -> Result<(), ServiceError> {
        let sequence = sequence_of(receipt)?;
        let Some(message) = self.messages.get(&sequence) else { return Ok(()) };
        let is_current = message.receipt.as_deref() == Some(receipt);
        if self.definition.fifo && (!is_current || message.visible_at <= now) {
            return Err(invalid("The receipt handle has expired"));
        }
        if is_current {
            self.messages.remove(&sequence);
        }
        Ok(())
    }

    /// Makes a received message invisible for `timeout` from `now` on. Zero makes it visible at once.
    ///
    /// # Errors
    /// Fails if the handle is malformed or the message is not in flight.
    pub fn change_visibility(&mut self, receipt: &str, timeout: Duration, now: Timestamp) -> Result<(), ServiceError> {
        let sequence = sequence_of(receipt)?;
        if timeout.as_secs() > MAX_VISIBILITY_TIMEOUT {
            return Err(invalid("VisibilityTimeout must be at most 43200 seconds"));
        }
        let is_in_flight =
            |message: &QueuedMessage| message.receipt.as_deref() == Some(receipt) && message.visible_at > now;
        if !self.messages.get(&sequence).is_some_and(is_in_flight) {
            return Err(ServiceError::new(
                "AWS.SimpleQueueService.MessageNotInflight",
                "The message is not in flight.",
            ));
        }
        if let Some(message) = self.messages.get_mut(&sequence) {
            message.visible_at = later(now, timeout);
        }
        Ok(())
    }

    /// Deletes all messages.
    pub fn purge(&mut self) {
        for sequence in self.messages.keys_where(|_| true) {
            self.messages.remove(&sequence);
        }
    }

    /// Deletes the messages that are older than the retention period.
    pub fn expire(&mut self, now: Timestamp) {
        let retention = self.definition.retention;
        for sequence in self.messages.keys_where(|message| later(message.sent_at, retention) <= now) {
            self.messages.remove(&sequence);
        }
    }

    /// Adds a message of another queue that was received too often there. It keeps its id, its time and its count, and
    /// is visible at once.
    pub fn add_dead(&mut self, message: QueuedMessage, now: Timestamp) {
        let sequence = self.next_sequence();
        self.messages.insert(sequence, QueuedMessage { visible_at: now, receipt: None, ..message });
    }

    pub fn counts(&self, now: Timestamp) -> QueueCounts {
        let mut counts = QueueCounts::default();
        for (_, message) in self.messages.iter() {
            match message {
                message if message.visible_at <= now => counts.visible += 1,
                QueuedMessage { receipt: Some(_), .. } => counts.in_flight += 1,
                _ => counts.delayed += 1,
            }
        }
        counts
    }

    /// Iterates over all messages, whether visible or not, in the order of their sequence numbers.
    pub fn messages(&self) -> impl Iterator<Item = &QueuedMessage> {
        self.messages.iter().map(|(_, message)| message)
    }

    /// Returns the next time at which a message becomes visible, if any is invisible.
    pub fn next_visible(&self, now: Timestamp) -> Option<Timestamp> {
        self.messages().map(|message| message.visible_at).filter(|at| *at > now).min()
    }

    fn add(&mut self, message: OutgoingMessage, id: Uuid, now: Timestamp) -> SentMessage {
        let sequence = self.next_sequence();
        let OutgoingMessage { body, attributes, delay, group, deduplication_id } = message;
        let visible_at = later(now, delay.unwrap_or(self.definition.delay));
        let message = QueuedMessage {
            id,
            body,
            attributes,
            sent_at: now,
            first_received_at: None,
            receives: 0,
            group,
            deduplication_id,
            visible_at,
            receipt: None,
        };
        self.messages.insert(sequence, message);
        SentMessage { id, sequence }
    }

    fn next_sequence(&mut self) -> u64 {
        let sequence = self.next;
        self.next += 1;
        sequence
    }

    /// The groups with messages in flight, in a FIFO queue.
    fn groups_in_flight(&self, now: Timestamp) -> BTreeSet<String> {
        let in_flight = self.messages().filter(|message| self.definition.fifo && message.visible_at > now);
        in_flight.filter_map(|message| message.group.clone()).collect()
    }
}

/// Checks what every queue requires of a message.
fn check(message: &OutgoingMessage) -> Result<(), ServiceError> {
    if message.body.is_empty() {
        return Err(ServiceError::new("MissingParameter", "The request must contain the parameter MessageBody."));
    }
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..);
    if !message.body.chars().all(is_allowed) {
        let reason = "The message contains characters outside the allowed set.";
        return Err(ServiceError::new("InvalidMessageContents", reason));
    }
    if message.attributes.len() > 10 {
        return Err(invalid("A message has at most 10 attributes"));
    }
    if message.delay.is_some_and(|delay| delay.as_secs() > MAX_DELAY) {
        return Err(invalid("DelaySeconds must be at most 900"));
    }
    if size(message) > MAX_MESSAGE_BYTES {
        let reason = format!("Message must be shorter than {MAX_MESSAGE_BYTES} bytes.");
        return Err(invalid(&format!("One or more parameters are invalid. Reason: {reason}")));
    }
    Ok(())
}

/// The size of a message: its body and its attributes.
pub fn size(message: &OutgoingMessage) -> usize {
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    let attribute = |(name, value): (&String, &Value)| {
        let binary = text(&value["BinaryValue"]) / 4 * 3;
        name.len() + text(&value["DataType"]) + text(&value["StringValue"]) + binary
    };
    message.body.len() + message.attributes.iter().map(attribute).sum::<usize>()
}

fn invalid(reason: &str) -> ServiceError {
    ServiceError::new("InvalidParameterValue", reason)
}

fn sequence_of(receipt: &str) -> Result<u64, ServiceError> {
    let sequence = receipt.split_once(':').and_then(|(sequence, _)| sequence.parse().ok());
    sequence.ok_or_else(|| ServiceError::new("ReceiptHandleIsInvalid", "The input receipt handle is invalid."))
}

fn later(time: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

fn digest_of(body: &str) -> String {
    digest(&SHA256, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
