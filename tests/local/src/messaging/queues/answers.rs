//! Answers of the SQS API in JSON.

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    super::queue::{MAX_MESSAGE_BYTES, OutgoingMessage, Queue, ReceivedMessage, SentMessage},
    arn_of,
};

/// The digests of a message: of its body, and of its attributes if it has any.
pub(super) struct Digests {
    body: String,
    attributes: Option<String>,
}

pub(super) fn digests(message: &OutgoingMessage) -> Digests {
    Digests { body: digest_of_body(&message.body), attributes: digest_of_attributes(&message.attributes) }
}

pub(super) fn sent(sent: &SentMessage, digests: Digests, fifo: bool) -> Value {
    let mut answer = json!({ "MessageId": sent.id.to_string(), "MD5OfMessageBody": digests.body });
    if let Some(digest) = digests.attributes {
        answer["MD5OfMessageAttributes"] = json!(digest);
    }
    if fifo {
        answer["SequenceNumber"] = json!(sequence_number(sent.sequence));
    }
    answer
}

/// A received message with the attributes that the request names.
pub(super) fn received(received: &ReceivedMessage, request: &Value, fifo: bool) -> Value {
    let message = &received.message;
    let mut answer = json!({
        "MessageId": message.id.to_string(),
        "ReceiptHandle": received.receipt,
        "MD5OfBody": digest_of_body(&message.body),
        "Body": message.body,
    });
    let wanted = [names(request, "AttributeNames"), names(request, "MessageSystemAttributeNames")].concat();
    let milliseconds = |time: Timestamp| time.as_millisecond().to_string();
    let system = [
        ("SenderId", Some("local".to_owned())),
        ("SentTimestamp", Some(milliseconds(message.sent_at))),
        ("ApproximateReceiveCount", Some(message.receives.to_string())),
        ("ApproximateFirstReceiveTimestamp", message.first_received_at.map(milliseconds)),
        ("SequenceNumber", fifo.then(|| sequence_number(received.sequence))),
        ("MessageGroupId", message.group.clone()),
        ("MessageDeduplicationId", message.deduplication_id.clone()),
    ];
    let is_wanted = |name: &str| wanted.iter().any(|wanted| *wanted == "All" || *wanted == name);
    let system = system.into_iter().filter(|(name, _)| is_wanted(name));
    let system: Map<_, _> = system.filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect();
    if !system.is_empty() {
        answer["Attributes"] = Value::Object(system);
    }
    let wanted = names(request, "MessageAttributeNames");
    let is_wanted = |name: &String| {
        let matches = |wanted: &&str| match wanted.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => *wanted == "All" || wanted == name,
        };
        wanted.iter().any(matches)
    };
    let attributes = message.attributes.iter().filter(|(name, _)| is_wanted(name));
    let attributes: Map<_, _> = attributes.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(digest) = digest_of_attributes(&attributes) {
        answer["MessageAttributes"] = Value::Object(attributes);
        answer["MD5OfMessageAttributes"] = json!(digest);
    }
    answer
}

/// All attributes of a queue.
pub(super) fn queue_attributes(name: &str, queue: &Queue, now: Timestamp) -> Map<String, Value> {
    let (definition, counts) = (&queue.definition, queue.counts(now));
    let mut attributes = vec![
        ("QueueArn", arn_of(name)),
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
        ("VisibilityTimeout", definition.visibility_timeout.as_secs().to_string()),
        ("MessageRetentionPeriod", definition.retention.as_secs().to_string()),
        ("DelaySeconds", definition.delay.as_secs().to_string()),
        ("MaximumMessageSize", MAX_MESSAGE_BYTES.to_string()),
    ];
    if let Some(redrive) = &definition.redrive {
        let policy =
            json!({ "deadLetterTargetArn": arn_of(&redrive.dead_letters), "maxReceiveCount": redrive.max_receives });
        attributes.push(("RedrivePolicy", policy.to_string()));
    }
    if definition.fifo {
        attributes.push(("FifoQueue", "true".to_owned()));
        attributes.push(("ContentBasedDeduplication", definition.content_based_deduplication.to_string()));
    }
    attributes.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

/// The names in a list of a request.
pub(super) fn names<'a>(request: &'a Value, list: &str) -> Vec<&'a str> {
    request[list].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn sequence_number(sequence: u64) -> String {
    format!("{sequence:020}")
}

fn digest_of_body(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// The digest of the attributes, sorted by name (Amazon SQS Developer Guide, "Calculating the MD5 message digest for
/// message attributes"). `None` if there are none.
fn digest_of_attributes(attributes: &Map<String, Value>) -> Option<String> {
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut bytes = Vec::new();
    let append = |bytes: &mut Vec<u8>, part: &[u8]| {
        bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(part);
    };
    for (name, attribute) in &sorted {
        append(&mut bytes, name.as_bytes());
        append(&mut bytes, attribute["DataType"].as_str().unwrap_or_default().as_bytes());
        match (attribute["StringValue"].as_str(), attribute["BinaryValue"].as_str()) {
            (Some(text), _) => {
                bytes.push(1);
                append(&mut bytes, text.as_bytes());
            }
            (None, binary) => {
                bytes.push(2);
                append(&mut bytes, &BASE64_STANDARD.decode(binary.unwrap_or_default()).unwrap_or_default());
            }
        }
    }
    (!sorted.is_empty()).then(|| format!("{:x}", md5::compute(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_body_is_its_md5() {
        assert_eq!(digest_of_body("hello world"), "5eb63bbbe01eeed093cb22bb8f5acdc3");
    }

    #[test]
    fn the_digest_of_attributes_does_not_depend_on_their_order() {
        let attribute = |kind: &str, name: &str, value: &str| json!({ "DataType": kind, name: value });
        let (text, binary) = (attribute("String", "StringValue", "x"), attribute("Binary", "BinaryValue", "AQI="));
        let digest = |order: [(&str, &Value); 2]| {
            digest_of_attributes(&order.map(|(name, value)| (name.to_owned(), value.clone())).into_iter().collect())
        };
        let expected = digest([("a", &text), ("b", &binary)]);
        assert!(expected.is_some());
        assert_eq!(digest([("b", &binary), ("a", &text)]), expected);
        assert_ne!(digest([("a", &binary), ("b", &text)]), expected);
        assert_eq!(digest_of_attributes(&Map::new()), None);
    }
}
