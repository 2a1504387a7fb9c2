//! Events, their stored form and their schema versions.

use serde::{Deserialize, Serialize, de::DeserializeOwned, ser::Error};
use serde_json::Value;

/// The events of one kind of aggregate.
///
/// The type is an enum that serde tags as `#[serde(tag = "type", content = "data")]`, with each variant renamed to its
/// published name (`order.placed`). It is a storage format: fields may be added, but never renamed or retyped.
pub trait Event: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The category of the streams that hold these events: the part of a stream id before the `#`.
    const CATEGORY: &'static str;

    /// Every event type with its current schema version, from 1. Writing and reading both consult this list.
    const SCHEMAS: &'static [(&'static str, u32)];

    /// Returns the word for an instance in texts to clients: the category, with spaces for dashes.
    fn noun() -> String {
        Self::CATEGORY.replace('-', " ")
    }

    /// Returns the name of an instance's key in documents, such as `order_id`.
    fn key_name() -> String {
        format!("{}_id", Self::CATEGORY.replace('-', "_"))
    }

    /// Upcasts the data of an older schema by one version. Returns `None` if there is no upcast from `schema`.
    ///
    /// Called repeatedly, until the data has the schema version of [`SCHEMAS`](Self::SCHEMAS).
    fn upcast(event_type: &str, schema: u32, data: Value) -> Option<Value> {
        let _ = (event_type, schema, data);
        None
    }
}

/// The stored form of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// The published name, such as `order.placed`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The schema version of the data, from 1.
    pub schema: u32,
    pub data: Value,
}

/// A stored event that this code cannot decode, and must not act on.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// Newer code wrote the data, or there is no upcast from its schema version.
    #[error("unknown schema version {schema} of event type {event_type}")]
    UnknownSchema { event_type: String, schema: u32 },
    /// The data does not match its schema.
    #[error("malformed data of event type {event_type}")]
    Malformed {
        event_type: String,
        /// The error of serde. It is not a `source`, because it may quote the data, which must not be logged.
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
    /// Encodes an event at its current schema version.
    ///
    /// # Errors
    /// If the event does not serialize as a `type` with `data`, or [`Event::SCHEMAS`] does not list its type. An event
    /// that could not be read again is never stored.
    pub fn encode<E: Event>(event: &E) -> Result<Self, serde_json::Error> {
        let (event_type, schema, data) = encode(event, E::SCHEMAS)?;
        Ok(Self { event_type, schema, data })
    }

    /// Decodes the event and upcasts it to its current schema version.
    ///
    /// # Errors
    /// [`Undecodable`] if this code does not know the type, the schema version, or the data.
    pub fn decode<E: Event>(self) -> Result<E, Undecodable> {
        let Self { event_type, mut schema, mut data } = self;
        let Some(current) = current_schema(E::SCHEMAS, &event_type) else {
            return Err(Undecodable::UnknownType(event_type));
        };
        while schema < current {
            data = match E::upcast(&event_type, schema, data) {
                Some(upcast) => upcast,
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

/// Returns the type, the schema version and the data of an event that serde tags as `type` with `data`.
///
/// # Errors
/// If the event serializes otherwise, or `schemas` does not list its type.
pub(crate) fn encode(
    event: &impl Serialize,
    schemas: &[(&str, u32)],
) -> Result<(String, u32, Value), serde_json::Error> {
    let Tagged { event_type, data } = serde_json::from_value(serde_json::to_value(event)?)?;
    match current_schema(schemas, &event_type) {
        Some(schema) => Ok((event_type, schema, data)),
        None => Err(serde_json::Error::custom(format!("SCHEMAS does not list {event_type}"))),
    }
}

fn current_schema(schemas: &[(&str, u32)], event_type: &str) -> Option<u32> {
    schemas.iter().find(|(listed, _)| *listed == event_type).map(|(_, schema)| *schema)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The events of a thermometer. Schema version 1 had degrees Fahrenheit.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum Weather {
        #[serde(rename = "weather.measured")]
        Measured { celsius: i64 },
        #[serde(rename = "weather.unlisted")]
        Unlisted {},
    }

    impl Event for Weather {
        const CATEGORY: &'static str = "weather";
        const SCHEMAS: &'static [(&'static str, u32)] = &[("weather.measured", 2)];

        fn upcast(_: &str, schema: u32, data: Value) -> Option<Value> {
            let fahrenheit = data.get("fahrenheit")?.as_i64()?;
            (schema == 1).then(|| json!({ "celsius": (fahrenheit - 32) * 5 / 9 }))
        }
    }

    fn record(event_type: &str, schema: u32, data: Value) -> EventRecord {
        EventRecord { event_type: event_type.to_owned(), schema, data }
    }

    #[test]
    fn an_event_survives_storage() {
        let event = Weather::Measured { celsius: 21 };
        let stored = EventRecord::encode(&event).unwrap();
        assert_eq!(stored, record("weather.measured", 2, json!({ "celsius": 21 })));
        assert_eq!(stored.decode::<Weather>().unwrap(), event);
    }

    #[test]
    fn an_event_that_schemas_does_not_list_is_never_stored() {
        let error = EventRecord::encode(&Weather::Unlisted {}).unwrap_err();
        assert_eq!(error.to_string(), "SCHEMAS does not list weather.unlisted");
    }

    #[test]
    fn an_older_schema_is_upcast() {
        let old = record("weather.measured", 1, json!({ "fahrenheit": 50 }));
        assert_eq!(old.decode::<Weather>().unwrap(), Weather::Measured { celsius: 10 });
    }

    #[test]
    fn unknown_types_newer_schemas_and_malformed_data_are_distinguished() {
        let decode = |r: EventRecord| r.decode::<Weather>().unwrap_err();
        assert!(matches!(decode(record("weather.felt", 1, json!({}))), Undecodable::UnknownType(_)));
        let newer = record("weather.measured", 3, json!({ "celsius": 1 }));
        assert!(matches!(decode(newer), Undecodable::UnknownSchema { schema: 3, .. }));
        let malformed = record("weather.measured", 2, json!({ "celsius": "warm" }));
        assert!(matches!(decode(malformed), Undecodable::Malformed { .. }));
        let without_upcast = record("weather.measured", 0, json!({ "fahrenheit": 50 }));
        assert!(matches!(decode(without_upcast), Undecodable::UnknownSchema { schema: 0, .. }));
    }
}
