//! Views of an older schema version, as older code would have left them.

use local::{Engine, engine::interceptor::EngineCall};
use serde_json::{Value, json};

/// Replaces the view by one of an older schema version, with another total and without its index key. Its contribution
/// is the same.
pub fn put_stale_view(engine: &Engine, table: &str, view: &Value) {
    let mut item = view.clone();
    item["schema"] = json!({ "N": "0" });
    item["total"] = json!({ "N": "1" });
    item.as_object_mut().unwrap().remove("placed");
    let body = json!({ "TableName": table, "Item": item });
    engine.call_directly(&EngineCall { operation: "PutItem".to_owned(), body }).unwrap();
}
