//! Views of an older schema version, as older code would have left them.

use local::{Engine, engine::interceptor::EngineCall};
use serde_json::{Value, json};

/// The attributes of a stored view that older code would have written in the same way.
const KEPT: [&str; 8] = ["version", "hash", "contribution", "counted", "rows", "instalments", "parked", "parked_in"];

/// Returns the view with other numbers, and without the attributes that only indexes need. So no list shows it, and the
/// current code cannot decode it.
pub fn without(view: &Value, index: &[&str]) -> Value {
    let mut item = view.clone();
    item.as_object_mut().unwrap().retain(|name, _| !index.contains(&name.as_str()));
    own_attributes(&mut item).filter(|attribute| attribute["N"].is_string()).for_each(change_numbers);
    item
}

/// Returns the view with other numbers in lists and maps, which no index has. The current code can decode it.
pub fn with_other_nested_numbers(view: &Value) -> Value {
    let mut item = view.clone();
    own_attributes(&mut item).filter(|attribute| attribute["N"].is_null()).for_each(change_numbers);
    item
}

/// Replaces a view by this one, as one of an older schema version.
pub fn put_stale_view(engine: &Engine, table: &str, mut view: Value) {
    view["schema"] = json!({ "N": "0" });
    let body = json!({ "TableName": table, "Item": view });
    engine.call_directly(&EngineCall { operation: "PutItem".to_owned(), body }).unwrap();
}

/// Iterates over the attributes that are not kept.
fn own_attributes(item: &mut Value) -> impl Iterator<Item = &mut Value> {
    let attributes = item.as_object_mut().into_iter().flatten();
    attributes.filter(|(name, _)| !KEPT.contains(&name.as_str())).map(|(_, attribute)| attribute)
}

fn change_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
            Value::String(digits) if name == "N" => "1".clone_into(digits),
            value => change_numbers(value),
        }),
        Value::Array(values) => values.iter_mut().for_each(change_numbers),
        _ => {}
    }
}
