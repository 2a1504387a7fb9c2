//! Repairs empty maps in the stream records of Amazon DynamoDB Local.

use serde_json::{Value, json};

use super::interceptor::{EngineCall, Interceptor};

/// AWS encodes an empty map in a stream record as `{"M": {}}`. DynamoDB Local encodes it as `{}`, which no SDK can
/// read.
pub(super) struct EmptyMaps;

impl Interceptor for EmptyMaps {
    fn after(&self, _: &EngineCall, response: &mut Value) {
        for record in response["Records"].as_array_mut().into_iter().flatten() {
            for image in ["NewImage", "OldImage"] {
                if let Some(Value::Object(attributes)) = record["dynamodb"].get_mut(image) {
                    attributes.values_mut().for_each(repair);
                }
            }
        }
    }
}

fn repair(attribute: &mut Value) {
    let Value::Object(typed) = attribute else { return };
    if typed.is_empty() {
        *attribute = json!({ "M": {} });
        return;
    }
    for (kind, value) in typed {
        match (kind.as_str(), value) {
            ("M", Value::Object(map)) => map.values_mut().for_each(repair),
            ("L", Value::Array(list)) => list.iter_mut().for_each(repair),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_map_at_any_depth_is_repaired() {
        let response = |empty: Value| {
            json!({ "Records": [{ "dynamodb": { "NewImage": {
                "events": { "L": [{ "M": { "data": empty, "type": { "S": "loan.returned" } } }] },
                "none": { "L": [] },
            } } }] })
        };
        let mut repaired = response(json!({}));
        let call = EngineCall { operation: "GetRecords".to_owned(), body: Value::Null };
        EmptyMaps.after(&call, &mut repaired);
        assert_eq!(repaired, response(json!({ "M": {} })));
    }
}
