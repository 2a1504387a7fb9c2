//! Events, and the form in which they outlive the code that wrote them.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Something that happened to one kind of aggregate.
///
/// The type is an enum that serde tags as `#[serde(tag = "type", content = "data")]`, each variant renamed to its
/// published name (`order.placed`). It is a storage format: fields are added, never renamed or retyped.
pub trait Event: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The category of the streams that hold these events: what stands before the `#` of their names.
    const CATEGORY: &'static str;

    /// The schema version in which this event is written today, from 1.
    fn schema(&self) -> u32;

    /// Lifts the data of an older schema by one version; `None` if there is no such version to lift.
    ///
    /// Repeated until the data decodes at the version that [`schema`](Self::schema) names, so one step is written once.
    fn upcast(event_type: &str, schema: u32, data: Value) -> Option<Value> {
        let _ = (event_type, schema, data);
        None
    }

    /// The schema version in which events of this type are written today; `None` for a type that is not known.
    fn current_schema(event_type: &str) -> Option<u32>;
}

/// An event as it is stored: its type, the schema version of its data, and the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// The published name, such as `order.placed`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the data's schema, from 1.
    pub schema: u32,
    /// What is to be known of the event.
    pub data: Value,
}

/// A stored event that this code must not act on.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// No event of this type is known.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// The data was written by newer code, or its schema is older than all that can be lifted.
    #[error("event type {event_type} has no schema {schema} here")]
    UnknownSchema {
        /// The event's type.
        event_type: String,
        /// The schema found.
        schema: u32,
    },
    /// The data does not fit its schema.
    #[error("event type {event_type} does not decode")]
    Malformed {
        /// The event's type.
        event_type: String,
        /// What serde found. It may quote the data, and is therefore no `source`: data does not belong in logs.
        cause: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Tagged {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    data: Value,
}

impl EventRecord {
    /// The stored form of `event`, at the schema version of today.
    ///
    /// # Errors
    /// If the event's serialisation is not a `type` with `data`: a defect of its type, found by its first test.
    pub fn encode<E: Event>(event: &E) -> Result<Self, serde_json::Error> {
        let Tagged { event_type, data } = serde_json::from_value(serde_json::to_value(event)?)?;
        Ok(Self { event_type, schema: event.schema(), data })
    }

    /// The event, lifted to the schema version of today.
    ///
    /// # Errors
    /// [`Undecodable`], when the type, the schema or the data is not known to this code.
    pub fn decode<E: Event>(self) -> Result<E, Undecodable> {
        let Self { event_type, mut schema, mut data } = self;
        let Some(current) = E::current_schema(&event_type) else {
            return Err(Undecodable::UnknownType(event_type));
        };
        while schema < current {
            data = match E::upcast(&event_type, schema, data) {
                Some(lifted) => lifted,
                None => return Err(Undecodable::UnknownSchema { event_type, schema }),
            };
            schema += 1;
        }
        if schema > current {
            return Err(Undecodable::UnknownSchema { event_type, schema });
        }
        serde_json::from_value(serde_json::json!({ "type": event_type, "data": data }))
            .map_err(|cause| Undecodable::Malformed { event_type, cause })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A thermometer's events. Its first schema had degrees Fahrenheit.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum Weather {
        #[serde(rename = "weather.measured")]
        Measurements { celsius: i64 },
    }

    impl Event for Weather {
        const CATEGORY: &'static str = "weather";

        fn schema(&self) -> u32 {
            match self {
                Self::Measurements { .. } => 2,
            }
        }

        fn current_schema(event_type: &str) -> Option<u32> {
            (event_type == "weather.measured").then_some(2)
        }

        fn upcast(_: &str, schema: u32, data: Value) -> Option<Value> {
            let fahrenheit = data.get("fahrenheit")?.as_i64()?;
            (schema == 1).then(|| json!({ "celsius": (fahrenheit - 32) * 5 / 9 }))
        }
    }

    fn record(event_type: &str, schema: u32, data: Value) -> EventRecord {
        EventRecord { event_type: event_type.to_owned(), schema, data }
    }

    #[test]
    fn an_event_survives_being_stored() {
        let event = Weather::Measurements { celsius: 21 };
        let stored = EventRecord::encode(&event).unwrap();
        assert_eq!(stored, record("weather.measured", 2, json!({ "celsius": 21 })));
        assert_eq!(stored.decode::<Weather>().unwrap(), event);
    }

    #[test]
    fn an_older_schema_is_lifted() {
        let old = record("weather.measured", 1, json!({ "fahrenheit": 50 }));
        assert_eq!(old.decode::<Weather>().unwrap(), Weather::Measurements { celsius: 10 });
    }

    #[test]
    fn an_unknown_type_a_newer_schema_and_broken_data_are_told_apart() {
        let decode = |r: EventRecord| r.decode::<Weather>().unwrap_err();
        assert!(matches!(decode(record("weather.felt", 1, json!({}))), Undecodable::UnknownType(_)));
        let newer = record("weather.measured", 3, json!({ "celsius": 1 }));
        assert!(matches!(decode(newer), Undecodable::UnknownSchema { schema: 3, .. }));
        let broken = record("weather.measured", 2, json!({ "celsius": "warm" }));
        assert!(matches!(decode(broken), Undecodable::Malformed { .. }));
        let unliftable = record("weather.measured", 0, json!({ "fahrenheit": 50 }));
        assert!(matches!(decode(unliftable), Undecodable::UnknownSchema { schema: 0, .. }));
    }
}
