//! The records of a stream as the events of Lambda, which differ a little from those of the Streams API.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::{self, AttributeValue};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A record of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its place in the shard.
    pub sequence_number: String,
    /// When the change was made.
    pub arrived_at: Timestamp,
    /// As Lambda hands it on.
    pub json: Value,
}

impl From<types::Record> for Record {
    fn from(record: types::Record) -> Self {
        let change = record.dynamodb.unwrap_or_else(|| types::StreamRecord::builder().build());
        let sequence_number = change.sequence_number.unwrap_or_default();
        let seconds = change.approximate_creation_date_time.map(|time| time.secs()).unwrap_or_default();
        let mut dynamodb = json!({
            "ApproximateCreationDateTime": seconds,
            "Keys": item(change.keys),
            "SequenceNumber": sequence_number,
            "SizeBytes": change.size_bytes,
            "StreamViewType": change.stream_view_type.as_ref().map(types::StreamViewType::as_str),
        });
        for (name, image) in [("NewImage", change.new_image), ("OldImage", change.old_image)] {
            if image.is_some() {
                dynamodb[name] = item(image);
            }
        }
        let json = json!({
            "awsRegion": record.aws_region,
            "eventID": record.event_id,
            "eventName": record.event_name.as_ref().map(types::OperationType::as_str),
            "eventSource": "aws:dynamodb",
            "eventVersion": record.event_version,
            "eventSourceARN": "arn:aws:dynamodb:local:000000000000:table/events/stream/local",
            "dynamodb": dynamodb,
        });
        Self { sequence_number, arrived_at: Timestamp::from_second(seconds).unwrap_or_default(), json }
    }
}

fn item(item: Option<HashMap<String, AttributeValue>>) -> Value {
    let attributes = item.unwrap_or_default().into_iter();
    let attributes: serde_json::Map<String, Value> = attributes
        .map(|(name, value)| {
            let value = serde_dynamo::AttributeValue::from(value);
            (name, serde_json::to_value(value).unwrap_or_default())
        })
        .collect();
    Value::Object(attributes)
}
