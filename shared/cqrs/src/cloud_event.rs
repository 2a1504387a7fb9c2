//! CloudEvents: the envelope in which other systems receive events.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::Version;

/// An event for other systems, in the terms of CloudEvents 1.0.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudEvent {
    /// A consumer recognizes a repeat by it.
    pub id: String,
    /// The published name, such as `order.placed`.
    pub event_type: String,
    /// The schema version of the data, from 1.
    pub schema: u32,
    /// The stream that the event is about, if there is one.
    pub subject: Option<String>,
    pub time: Timestamp,
    /// The version of the commit, for an event of a commit.
    pub sequence: Option<Version>,
    /// The id of the event before this one about the same subject.
    pub previous_id: Option<String>,
    /// The W3C `traceparent` of the command.
    pub trace: Option<String>,
    pub data: Value,
}

impl CloudEvent {
    /// Returns the JSON form. `schemas` is the URI of the directory with the JSON Schemas.
    ///
    /// `sequence` and `previousid` are extension attributes, and so is `traceparent` (CloudEvents, "Distributed Tracing
    /// extension").
    pub fn to_json(&self, source: &str, schemas: &str) -> Value {
        let Self { id, event_type, schema, subject, time, sequence, previous_id, trace, data } = self;
        let attributes = [
            ("specversion", Some("1.0".to_owned())),
            ("id", Some(id.clone())),
            ("source", Some(source.to_owned())),
            ("type", Some(event_type.clone())),
            ("subject", subject.clone()),
            ("time", Some(time.to_string())),
            ("datacontenttype", Some("application/json".to_owned())),
            ("dataschema", Some(format!("{schemas}{event_type}.v{schema}.json"))),
            ("sequence", sequence.map(|version| version.to_string())),
            ("previousid", previous_id.clone()),
            ("traceparent", trace.clone()),
        ];
        let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        attributes.chain([("data".to_owned(), data.clone())]).collect::<Map<_, _>>().into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attribute_without_a_value_is_left_out() {
        let time = "2026-11-22T10:00:00Z".parse().unwrap();
        let event = CloudEvent {
            id: "7".to_owned(),
            event_type: "parcel.lost".to_owned(),
            schema: 1,
            subject: None,
            time,
            sequence: None,
            previous_id: None,
            trace: None,
            data: json!({ "town": "Rome" }),
        };
        let expected = json!({
            "specversion": "1.0", "id": "7", "source": "parcels", "type": "parcel.lost",
            "time": "2026-11-22T10:00:00Z", "datacontenttype": "application/json",
            "dataschema": "https://parcels.example/parcel.lost.v1.json", "data": { "town": "Rome" },
        });
        assert_eq!(event.to_json("parcels", "https://parcels.example/"), expected);
    }
}
