//! Faults of messages: calls of EventBridge, SQS and EventBridge Scheduler, and deliveries from queues.

use serde_json::Value;

use super::{Chaos, InterruptedInvocation, MAX_POLLS, lock};
use crate::{
    engine::interceptor::{EngineCall, Fault},
    functions::Function,
    queue_mapping::rules::{self, MessageBatch, QueueOutcome},
};

/// The number of delivered messages that are kept for another delivery.
const MAX_PAST_MESSAGES: usize = 200;

impl Chaos {
    /// Delivers the batch with faults, and returns the outcome that the mapping observes.
    pub(crate) async fn deliver_messages(
        &self,
        function: &Function,
        batch: &MessageBatch,
        reports_failures: bool,
        now_ms: i64,
    ) -> QueueOutcome {
        let altered = self.alter_messages(batch);
        let answer = match self.roll("fate of messages", 100) {
            0..8 => {
                self.count("invocation for messages died");
                let polls = self.roll("lifetime", MAX_POLLS);
                InterruptedInvocation { invocation: function.start(altered.event(), now_ms), polls }.await
            }
            8..14 => {
                self.count("response for messages dropped");
                let _ = function.invoke(altered.event(), now_ms).await;
                None
            }
            14..20 => {
                self.count("zombie invocation for messages");
                let zombie = function.start(altered.event(), now_ms);
                lock(&self.zombies).spawn(async move { drop(zombie.await) });
                None
            }
            20..28 => {
                self.count("messages delivered twice");
                let _ = function.invoke(altered.event(), now_ms).await;
                function.invoke(altered.event(), now_ms).await.ok()
            }
            _ => function.invoke(altered.event(), now_ms).await.ok(),
        };
        answer.map_or_else(|| batch.all_failed(), |answer| rules::outcome(&answer, &altered, reports_failures))
    }

    /// Returns the fault of a call that sends a message or changes a schedule. `None` for any other call.
    pub(super) fn fault_of_message(&self, call: &EngineCall) -> Option<Fault> {
        let subject = subject(call)?;
        let sides = |what: &str| self.roll(&format!("{} {what} {subject}", call.operation), 1000);
        let (fault, what) = match sides("call") {
            0..30 => (Fault::Throttled, "message call throttled"),
            30..45 => (Fault::ServerError, "message call answered with 500"),
            45..60 => (Fault::RequestDropped, "message request dropped"),
            60..90 => (Fault::ResponseDropped, "message sent and response dropped"),
            90..150 if call.body["Entries"].is_array() => {
                let entries = call.body["Entries"].as_array().map(Vec::len).unwrap_or_default().max(1);
                let index = usize::try_from(sides("entry")).unwrap_or_default() % entries;
                (Fault::EntryFailed(index), "entry failed")
            }
            _ => return Some(Fault::None),
        };
        self.count(what);
        Some(fault)
    }

    /// Returns the batch with duplicates, with past messages, or in another order.
    fn alter_messages(&self, batch: &MessageBatch) -> MessageBatch {
        let mut records = batch.records.clone();
        if self.happens("duplicate messages", 12) {
            self.count("messages with duplicates");
            records.extend(batch.records.iter().step_by(2).cloned());
        }
        let mut past = lock(&self.past_messages);
        if self.happens("replay of messages", 12) {
            self.count("messages with past messages");
            let step = usize::try_from(self.roll("past messages", 7)).unwrap_or_default() + 1;
            records.extend(past.iter().rev().step_by(step).take(10).cloned());
        }
        past.extend(batch.records.iter().cloned());
        let excess = past.len().saturating_sub(MAX_PAST_MESSAGES);
        past.drain(..excess);
        if self.happens("reorder messages", 15) {
            self.count("messages reordered");
            let salt = self.roll("sequence of messages", u64::MAX).to_string();
            records.sort_by_key(|record| cqrs::derived_id(&[&salt, record["messageId"].as_str().unwrap_or_default()]));
        }
        MessageBatch { records }
    }
}

/// What a call is about: the first event or message, or the schedule. It is equal for all attempts of a call.
fn subject(call: &EngineCall) -> Option<String> {
    let body = &call.body;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match call.operation.as_str() {
        "PutEvents" => Some(text(&body["Entries"][0]["Detail"])),
        "SendMessage" => Some(text(&body["MessageBody"])),
        "SendMessageBatch" => Some(text(&body["Entries"][0]["MessageBody"])),
        "CreateSchedule" | "UpdateSchedule" | "DeleteSchedule" => {
            Some(format!("{}/{}", text(&body["GroupName"]), text(&body["Name"])))
        }
        _ => None,
    }
}
