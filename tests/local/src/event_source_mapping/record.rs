//! Stream records in the JSON of Lambda, which differs slightly from that of the Streams API.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::{self, AttributeValue};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A record of a DynamoDB stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub sequence_number: String,
    /// Time of the change, to the second.
    pub arrived_at: Timestamp,
    /// JSON of the item's partition key. It determines the shard.
    pub partition_key: String,
    /// Size as reported by the stream.
    pub bytes: usize,
    /// The record as Lambda delivers it.
    pub json: Value,
}

/// The partition key of the write table.
const PARTITION_KEY: &str = "stream";

impl Record {
    /// Returns whether the record has an old and a new image that are equal.
    pub fn changes_nothing(&self) -> bool {
        let image = |name: &str| self.json["dynamodb"].get(name);
        image("NewImage").is_some() && image("NewImage") == image("OldImage")
    }
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
        let partition_key = json["dynamodb"]["Keys"][PARTITION_KEY].to_string();
        let bytes = change.size_bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
        let arrived_at = Timestamp::from_second(seconds).unwrap_or_default();
        Self { sequence_number, arrived_at, partition_key, bytes, json }
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
