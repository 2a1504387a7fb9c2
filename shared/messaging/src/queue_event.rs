//! A batch of SQS messages, as Lambda passes it to a function. It may be any JSON.

#![allow(clippy::indexing_slicing, reason = "indexing a JSON value returns null for a missing part")]

use app::trace::{is_traceparent, traceparent};
use serde_json::Value;

/// A message of a batch.
#[derive(Clone, Copy, Debug)]
pub struct QueueMessage<'a>(&'a Value);

/// An event without a list of messages.
#[derive(Debug, thiserror::Error)]
#[error("the event has no list of messages")]
pub struct NotABatch;

/// Returns the messages of an event.
///
/// # Errors
/// [`NotABatch`] if the event has no list of messages.
pub fn messages(event: &Value) -> Result<Vec<QueueMessage<'_>>, NotABatch> {
    Ok(event["Records"].as_array().ok_or(NotABatch)?.iter().map(QueueMessage).collect())
}

impl<'a> QueueMessage<'a> {
    /// Returns the id. A redelivery has the same id.
    pub fn id(self) -> Option<&'a str> {
        self.0["messageId"].as_str().filter(|id| !id.is_empty())
    }

    /// Returns the body, unless it is not a text.
    pub fn body(self) -> Option<&'a str> {
        self.0["body"].as_str()
    }

    /// Returns the whole record as JSON.
    pub fn to_json(self) -> String {
        self.0.to_string()
    }

    /// Returns the message group, if the queue is a FIFO queue. In other queues, a group is no promise of an order.
    pub fn group(self) -> Option<&'a str> {
        let is_fifo = self.0["eventSourceARN"].as_str().is_some_and(|arn| arn.ends_with(".fifo"));
        self.0["attributes"]["MessageGroupId"].as_str().filter(|_| is_fifo)
    }

    /// Returns the trace of the sender as a W3C `traceparent`: the message attribute `traceparent`, or else the trace
    /// that X-Ray gave the message.
    pub fn trace(self) -> Option<String> {
        let sent = self.0["messageAttributes"]["traceparent"]["stringValue"].as_str();
        let sent = sent.filter(|trace| is_traceparent(trace)).map(str::to_owned);
        sent.or_else(|| traceparent(self.0["attributes"]["AWSTraceHeader"].as_str()?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const X_RAY: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn an_event_may_be_any_json() {
        for event in [json!(null), json!([]), json!({ "Records": {} }), json!("Records")] {
            assert!(messages(&event).is_err(), "{event}");
        }
        let event = json!({ "Records": [null, 1, [], {}, { "messageId": 1, "body": {}, "attributes": [] }] });
        for message in messages(&event).unwrap() {
            assert_eq!((message.id(), message.body(), message.group(), message.trace()), (None, None, None, None));
        }
    }

    #[test]
    fn the_trace_is_the_attribute_of_the_sender_or_that_of_x_ray() {
        let trace = |attribute: &str, header: &str| {
            let record = json!({
                "attributes": { "AWSTraceHeader": header },
                "messageAttributes": { "traceparent": { "dataType": "String", "stringValue": attribute } },
            });
            QueueMessage(&record).trace()
        };
        assert_eq!(trace(TRACE, X_RAY).as_deref(), Some(TRACE));
        let of_x_ray = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
        assert_eq!(trace("alice", X_RAY).as_deref(), Some(of_x_ray));
        assert_eq!(trace("", ""), None);
    }

    #[test]
    fn only_a_fifo_queue_has_ordered_groups() {
        let group = |arn: &str| {
            let record = json!({ "eventSourceARN": arn, "attributes": { "MessageGroupId": "a" } });
            QueueMessage(&record).group().map(str::to_owned)
        };
        assert_eq!(group("arn:aws:sqs:eu-west-1:123456789012:commands.fifo").as_deref(), Some("a"));
        assert_eq!(group("arn:aws:sqs:eu-west-1:123456789012:commands"), None);
    }
}
