//! The REST protocol of EventBridge Scheduler: operations by method and path.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Returns the operation of a request, and the parameters in its path and its query. `None` for any other path.
///
/// `path` begins with `/schedules` or ends with it and a name, because the endpoint may have a path of its own.
pub fn operation(method: &str, uri: &str) -> Option<(&'static str, Map<String, Value>)> {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let (_, name) = path.rsplit_once("/schedules")?;
    let name = name.strip_prefix('/').unwrap_or(name);
    let operation = match (method, name.is_empty()) {
        ("GET", true) => "ListSchedules",
        ("POST", false) => "CreateSchedule",
        ("PUT", false) => "UpdateSchedule",
        ("GET", false) => "GetSchedule",
        ("DELETE", false) => "DeleteSchedule",
        _ => return None,
    };
    let mut parameters = Map::new();
    if !name.is_empty() {
        parameters.insert("Name".to_owned(), decoded(name).into());
    }
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let name = match &*name {
            "groupName" | "ScheduleGroup" => "GroupName",
            "clientToken" => "ClientToken",
            other => other,
        };
        parameters.insert(name.to_owned(), value.into_owned().into());
    }
    Some((operation, parameters))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_operation_follows_from_method_and_path() {
        for (method, uri, expected) in [
            ("POST", "http://in-process/schedules/a", Some(("CreateSchedule", json!({ "Name": "a" })))),
            ("PUT", "/aws/schedules/a%2Eb", Some(("UpdateSchedule", json!({ "Name": "a.b" })))),
            ("GET", "/schedules/a?groupName=g", Some(("GetSchedule", json!({ "Name": "a", "GroupName": "g" })))),
            ("DELETE", "/schedules/a?groupName=g", Some(("DeleteSchedule", json!({ "Name": "a", "GroupName": "g" })))),
            ("GET", "/schedules?NamePrefix=x%20y", Some(("ListSchedules", json!({ "NamePrefix": "x y" })))),
            ("PATCH", "/schedules/a", None),
            ("POST", "/schedules", None),
            ("POST", "/", None),
        ] {
            let found = operation(method, uri).map(|(operation, parameters)| (operation, Value::Object(parameters)));
            assert_eq!(found, expected, "{method} {uri}");
        }
    }
}
