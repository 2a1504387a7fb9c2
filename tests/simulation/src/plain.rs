//! Items without DynamoDB's type tags.

use cqrs_dynamodb::Item;
use serde_json::{Map, Value, json};

/// Removes DynamoDB's type tags from an attribute or an item.
pub(crate) fn plain(typed: &Value) -> Value {
    let Some(fields) = typed.as_object() else { return Value::Null };
    match fields.iter().next().filter(|_| fields.len() == 1) {
        Some((tag, Value::String(text))) if tag == "S" => json!(text),
        Some((tag, Value::String(digits))) if tag == "N" => serde_json::from_str(digits).unwrap_or_default(),
        Some((tag, Value::Bool(bool))) if tag == "BOOL" => json!(bool),
        Some((tag, Value::Array(values))) if tag == "L" => values.iter().map(plain).collect(),
        Some((tag, map @ Value::Object(_))) if tag == "M" => plain_item(map),
        Some((tag, _)) if tag == "NULL" => Value::Null,
        Some((tag, _)) if tag == "B" => bytes(typed),
        _ => plain_item(typed),
    }
}

/// Returns the item in the SDK's type.
pub(crate) fn sdk_item(typed: &Value) -> Item {
    serde_json::from_value::<serde_dynamo::Item>(typed.clone()).unwrap().into()
}

/// Returns the bytes of a binary attribute as numbers.
fn bytes(typed: &Value) -> Value {
    match serde_json::from_value(typed.clone()).unwrap() {
        serde_dynamo::AttributeValue::B(bytes) => json!(bytes),
        other => panic!("{other:?} is not binary"),
    }
}

fn plain_item(item: &Value) -> Value {
    let fields = item.as_object().into_iter().flatten();
    Value::Object(fields.map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>())
}
