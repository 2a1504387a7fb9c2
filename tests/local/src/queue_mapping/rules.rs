//! Rules for events and outcomes of batches (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS").

use std::collections::BTreeSet;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

/// Messages of a queue as Lambda delivers them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageBatch {
    pub records: Vec<Value>,
}

/// The outcome of an invocation with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueOutcome {
    Success,
    /// The messages with these ids failed, or their outcome is unknown.
    Failed(BTreeSet<String>),
}

impl QueueOutcome {
    pub fn has_failed(&self, id: &str) -> bool {
        match self {
            Self::Success => false,
            Self::Failed(ids) => ids.contains(id),
        }
    }
}

impl MessageBatch {
    /// The batch of these messages from the queue with this ARN.
    pub fn of(messages: &[Message], arn: &str) -> Self {
        Self { records: messages.iter().map(|message| record(message, arn)).collect() }
    }

    /// The event of the invocation.
    pub fn event(&self) -> Value {
        json!({ "Records": self.records })
    }

    /// The outcome of an invocation that failed, or whose outcome is unknown.
    pub fn all_failed(&self) -> QueueOutcome {
        QueueOutcome::Failed(self.ids().map(str::to_owned).collect())
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter_map(|record| record["messageId"].as_str())
    }
}

/// The outcome in a function's response.
///
/// With `reports_failures`, the messages in `batchItemFailures` failed. An identifier that is null, empty or not in the
/// batch fails the whole batch.
pub fn outcome(response: &Value, batch: &MessageBatch, reports_failures: bool) -> QueueOutcome {
    let failures = response.get("batchItemFailures").and_then(Value::as_array);
    let Some(failures) = failures.filter(|failures| reports_failures && !failures.is_empty()) else {
        return QueueOutcome::Success;
    };
    let ids: BTreeSet<&str> = batch.ids().collect();
    let failed = failures.iter().map(|failure| ids.get(failure["itemIdentifier"].as_str()?).map(|id| (*id).to_owned()));
    failed.collect::<Option<_>>().map_or_else(|| batch.all_failed(), QueueOutcome::Failed)
}

fn record(message: &Message, arn: &str) -> Value {
    let system = message.attributes().into_iter().flatten();
    let attributes = message.message_attributes().into_iter().flatten();
    let mut record = json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": system.map(|(name, value)| (name.to_string(), json!(value))).collect::<Map<_, _>>(),
        "messageAttributes": attributes.map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>(),
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": arn.split(':').nth(3),
    });
    if let Some(digest) = message.md5_of_message_attributes() {
        record["md5OfMessageAttributes"] = json!(digest);
    }
    record
}

fn attribute(value: &MessageAttributeValue) -> Value {
    let mut attribute = json!({ "dataType": value.data_type(), "stringListValues": [], "binaryListValues": [] });
    if let Some(text) = value.string_value() {
        attribute["stringValue"] = json!(text);
    }
    if let Some(binary) = value.binary_value() {
        attribute["binaryValue"] = json!(BASE64_STANDARD.encode(binary));
    }
    attribute
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::MessageSystemAttributeName;

    use super::*;

    fn batch(ids: &[&str]) -> MessageBatch {
        let messages: Vec<_> = ids.iter().map(|id| Message::builder().message_id(*id).body(*id).build()).collect();
        MessageBatch::of(&messages, "arn:aws:sqs:local:000000000000:Signals")
    }

    fn failed(ids: &[&str]) -> QueueOutcome {
        QueueOutcome::Failed(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn only_reported_messages_fail() {
        let batch = batch(&["a", "b", "c"]);
        let report = |ids: Value| json!({ "batchItemFailures": ids });
        let named = |id: Value| json!({ "itemIdentifier": id });
        for (response, reports, expected) in [
            (Value::Null, true, QueueOutcome::Success),
            (json!({}), true, QueueOutcome::Success),
            (report(Value::Null), true, QueueOutcome::Success),
            (report(json!([])), true, QueueOutcome::Success),
            (report(json!([named(json!("b"))])), true, failed(&["b"])),
            (report(json!([named(json!("c")), named(json!("a"))])), true, failed(&["a", "c"])),
            (report(json!([named(json!("b"))])), false, QueueOutcome::Success),
            (report(json!([named(json!("b")), named(json!("x"))])), true, failed(&["a", "b", "c"])),
            (report(json!([named(json!(""))])), true, failed(&["a", "b", "c"])),
            (report(json!([named(Value::Null)])), true, failed(&["a", "b", "c"])),
            (report(json!([{ "id": "b" }])), true, failed(&["a", "b", "c"])),
        ] {
            assert_eq!(outcome(&response, &batch, reports), expected, "{response}");
        }
    }

    #[test]
    fn a_record_has_the_form_of_lambda() {
        let text = MessageAttributeValue::builder().data_type("String").string_value("x").build().unwrap();
        let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(vec![1, 2].into());
        let message = Message::builder().message_id("1").receipt_handle("r").body("{}").md5_of_body("99");
        let message = message.attributes(MessageSystemAttributeName::ApproximateReceiveCount, "2");
        let message = message.message_attributes("a", text).message_attributes("b", binary.build().unwrap());
        let batch = MessageBatch::of(&[message.build()], "arn:aws:sqs:eu-west-1:000000000000:Signals");
        assert_eq!(
            batch.event(),
            json!({ "Records": [{
                "messageId": "1", "receiptHandle": "r", "body": "{}", "md5OfBody": "99",
                "attributes": { "ApproximateReceiveCount": "2" },
                "messageAttributes": {
                    "a": { "stringValue": "x", "dataType": "String", "stringListValues": [], "binaryListValues": [] },
                    "b": { "binaryValue": "AQI=", "dataType": "Binary", "stringListValues": [], "binaryListValues": [] },
                },
                "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:Signals",
                "awsRegion": "eu-west-1",
            }] })
        );
    }
}
