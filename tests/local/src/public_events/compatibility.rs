//! The rule for changes of a released JSON Schema.
//!
//! Consumers read new events with an old schema, and old events, from archives and queues, with a new one. Both work
//! only if a change adds optional properties, or changes texts for people. Every other change needs a new schema
//! version. This includes changes that accept more, such as a larger maximum: a consumer may rely on the old one.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords for people, which no validator consults.
const ANNOTATIONS: [&str; 6] = ["$comment", "deprecated", "description", "example", "examples", "title"];

/// Returns why `current` is not the same schema version as `released`, one line for each difference.
pub fn incompatibilities(released: &Value, current: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", released, current, &mut found);
    find_closed("", current, &mut found);
    found
}

/// Compares two schemas at a JSON pointer.
fn compare(path: &str, released: &Value, current: &Value, found: &mut Vec<String>) {
    let (Value::Object(released), Value::Object(current)) = (released, current) else {
        return equal(path, Some(released), Some(current), found);
    };
    let keywords: BTreeSet<&String> = released.keys().chain(current.keys()).collect();
    for keyword in keywords.into_iter().filter(|keyword| !ANNOTATIONS.contains(&keyword.as_str())) {
        let path = format!("{path}/{keyword}");
        match (keyword.as_str(), released.get(keyword), current.get(keyword)) {
            ("properties", Some(Value::Object(released)), Some(Value::Object(current))) => {
                compare_properties(&path, released, current, found);
            }
            // Properties where there were none.
            ("properties", None, Some(_)) => {}
            ("required" | "enum", released, current) if as_set(released) == as_set(current) => {}
            ("additionalProperties" | "unevaluatedProperties", released, current)
                if is_open(released) && is_open(current) => {}
            ("items" | "additionalProperties", Some(released), Some(current)) => {
                compare(&path, released, current, found);
            }
            ("allOf" | "anyOf" | "oneOf", Some(Value::Array(released)), Some(Value::Array(current)))
                if released.len() == current.len() =>
            {
                for (index, (released, current)) in released.iter().zip(current).enumerate() {
                    compare(&format!("{path}/{index}"), released, current, found);
                }
            }
            (_, released, current) => equal(&path, released, current, found),
        }
    }
}

/// Compares the properties of an object. A new one passes: if it were required, `required` would differ.
fn compare_properties(
    path: &str,
    released: &Map<String, Value>,
    current: &Map<String, Value>,
    found: &mut Vec<String>,
) {
    for (name, released) in released {
        let path = format!("{path}/{name}");
        match current.get(name) {
            Some(current) => compare(&path, released, current, found),
            None => found.push(format!("{path} was removed")),
        }
    }
}

/// Returns whether a keyword admits all further properties, as it does if it is absent.
fn is_open(keyword: Option<&Value>) -> bool {
    keyword.is_none_or(|admitted| *admitted == true)
}

fn equal(path: &str, released: Option<&Value>, current: Option<&Value>, found: &mut Vec<String>) {
    let show = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
    if released != current {
        found.push(format!("{path} was {} and is {}", show(released), show(current)));
    }
}

/// Returns the values of a list whose order has no meaning. An absent list is empty.
fn as_set(list: Option<&Value>) -> BTreeSet<String> {
    list.and_then(Value::as_array).into_iter().flatten().map(Value::to_string).collect()
}

/// Finds objects that admit no further properties. A consumer with such a schema would refuse an added one.
fn find_closed(path: &str, schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(keywords) => {
            for (keyword, value) in keywords {
                let path = format!("{path}/{keyword}");
                if matches!(keyword.as_str(), "additionalProperties" | "unevaluatedProperties") && *value == false {
                    found.push(format!("{path} is false; consumers must ignore properties that they do not know"));
                }
                find_closed(&path, value, found);
            }
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| find_closed(&format!("{path}/{index}"), value, found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The schema that the tests change.
    fn released() -> Value {
        json!({
            "$id": "https://parcels.example/parcel.sent.v1.json",
            "title": "parcel.sent",
            "type": "object",
            "required": ["parcel_id", "weight"],
            "properties": {
                "parcel_id": { "type": "string", "pattern": "^[0-9]+$", "description": "The parcel." },
                "weight": { "type": "integer", "minimum": 1, "maximum": 1000 },
                "speed": { "type": "string", "enum": ["slow", "fast"] },
                "stops": { "type": "array", "maxItems": 9, "items": {
                    "type": "object", "required": ["town"], "properties": { "town": { "type": "string" } },
                } },
                "return_to": { "oneOf": [
                    { "type": "null" },
                    { "type": "object", "properties": { "town": { "type": "string" } } },
                ] },
            },
        })
    }

    /// Sets the value at a JSON pointer, whose parent exists. `Null` removes it.
    fn changed(pointer: &str, value: Value) -> Value {
        let mut schema = released();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match (schema.pointer_mut(parent).unwrap(), value) {
            (Value::Object(parent), Value::Null) => assert!(parent.remove(name).is_some(), "{pointer}"),
            (Value::Object(parent), value) => drop(parent.insert(name.to_owned(), value)),
            (Value::Array(parent), Value::Null) => drop(parent.remove(name.parse().unwrap())),
            (Value::Array(parent), value) => parent.push(value),
            (parent, _) => panic!("{pointer}: {parent}"),
        }
        assert_ne!(schema, released(), "{pointer}: no change");
        schema
    }

    #[test]
    fn an_optional_property_or_a_text_may_be_added() {
        for (pointer, value) in [
            ("/properties/sender", json!({ "type": "string" })),
            ("/properties/sender", json!({ "type": "object", "properties": { "name": { "type": "string" } } })),
            // The names of properties may be those of keywords.
            ("/properties/required", json!({ "type": "boolean" })),
            ("/properties/stops/items/properties/arrival", json!({ "type": "string", "format": "date-time" })),
            ("/properties/return_to/oneOf/1/properties/street", json!({ "type": "string" })),
            ("/additionalProperties", json!(true)),
            ("/title", json!("A parcel left")),
            ("/description", json!("The parcel was handed over.")),
            ("/properties/parcel_id/description", Value::Null),
            ("/properties/parcel_id/examples", json!(["7"])),
            ("/properties/speed/deprecated", json!(true)),
            ("/required", json!(["weight", "parcel_id"])),
            ("/properties/speed/enum", json!(["fast", "slow"])),
        ] {
            assert_eq!(incompatibilities(&released(), &changed(pointer, value)), [""; 0], "{pointer}");
        }
    }

    #[test]
    fn every_other_change_is_incompatible() {
        for (pointer, value) in [
            // Removed.
            ("/properties/weight", Value::Null),
            ("/properties/speed", Value::Null),
            ("/properties/stops/items/properties/town", Value::Null),
            ("/properties/return_to/oneOf/1/properties/town", Value::Null),
            ("/properties", Value::Null),
            // Retyped.
            ("/type", json!("array")),
            ("/properties/weight/type", json!("string")),
            ("/properties/weight/type", json!(["integer", "null"])),
            ("/properties/weight", json!(true)),
            ("/properties/speed/format", json!("uuid")),
            ("/properties/stops/items", json!({ "type": "string" })),
            ("/properties/return_to/oneOf/0", Value::Null),
            ("/properties/return_to/oneOf/2", json!({ "type": "string" })),
            // Required, or no longer.
            ("/required/2", json!("speed")),
            ("/required/0", Value::Null),
            ("/required", Value::Null),
            ("/properties/stops/items/required", json!(["town", "arrival"])),
            ("/properties/return_to/oneOf/1/required", json!(["town"])),
            // Tightened or loosened.
            ("/properties/speed/enum/0", Value::Null),
            ("/properties/speed/enum/2", json!("express")),
            ("/properties/speed/enum", Value::Null),
            ("/properties/speed/const", json!("fast")),
            ("/properties/weight/minimum", json!(2)),
            ("/properties/weight/maximum", json!(2000)),
            ("/properties/weight/maximum", Value::Null),
            ("/properties/weight/multipleOf", json!(10)),
            ("/properties/parcel_id/pattern", json!("^[0-9]{4}$")),
            ("/properties/parcel_id/maxLength", json!(4)),
            ("/properties/stops/maxItems", json!(8)),
            ("/minProperties", json!(3)),
            ("/propertyNames", json!({ "maxLength": 9 })),
            // Closed.
            ("/additionalProperties", json!(false)),
            ("/unevaluatedProperties", json!(false)),
            ("/properties/stops/items/additionalProperties", json!(false)),
            ("/properties/sender", json!({ "type": "object", "additionalProperties": false })),
            // Another document.
            ("/$id", json!("https://parcels.example/parcel.sent.v2.json")),
        ] {
            let found = incompatibilities(&released(), &changed(pointer, value.clone()));
            let place = pointer.trim_end_matches(|last: char| last.is_ascii_digit() || last == '/');
            assert!(found.iter().any(|reason| reason.starts_with(place)), "{pointer} {value}: {found:?}");
        }
    }

    #[test]
    fn a_renamed_property_is_a_removed_one() {
        let mut renamed = released();
        let properties = renamed["properties"].as_object_mut().unwrap();
        let speed = properties.remove("speed").unwrap();
        properties.insert("velocity".to_owned(), speed);
        assert_eq!(incompatibilities(&released(), &renamed), ["/properties/speed was removed"]);
    }

    #[test]
    fn a_released_schema_that_is_closed_is_found_without_a_change() {
        let closed = changed("/additionalProperties", json!(false));
        assert_eq!(incompatibilities(&closed, &closed).len(), 1);
    }
}
