//! Views of an older schema version, as older code would have left them.

use local::{Engine, engine::interceptor::EngineCall};
use serde_json::{Value, json};

/// The attributes of a stored view that older code would have written in the same way.
const KEPT: [&str; 8] = ["version", "hash", "contribution", "counted", "rows", "instalments", "parked", "parked_in"];

/// Replaces the view by one of an older schema version: with other numbers, without the attributes that only indexes
/// need, and with the same contribution.
pub fn put_stale_view(engine: &Engine, table: &str, view: &Value, index: &[&str]) {
    let mut item = view.clone();
    item.as_object_mut().unwrap().retain(|name, _| !index.contains(&name.as_str()));
    for (name, attribute) in item.as_object_mut().into_iter().flatten() {
        if attribute["N"].is_string() && !KEPT.contains(&name.as_str()) {
            *attribute = json!({ "N": "1" });
        }
    }
    item["schema"] = json!({ "N": "0" });
    let body = json!({ "TableName": table, "Item": item });
    engine.call_directly(&EngineCall { operation: "PutItem".to_owned(), body }).unwrap();
}
