//! HTTP events of API Gateway (payload format 2.0), and the responses to them.
//!
//! An event is read leniently: only the fields that a function needs are read, in all forms that API Gateway, a proxy
//! or an emulator may send. If such a field is invalid, the response is a problem document.

#![allow(clippy::indexing_slicing, reason = "indexing a JSON value returns null for a missing part")]

use std::{borrow::Cow, collections::BTreeMap};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use crate::{Caller, Problem, Route};

/// Decodes base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The characters to encode in a path: all except the unreserved ones (RFC 3986, 2.3) and `/`.
const NOT_IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An HTTP event. It may be any JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpEvent<'a>(pub(crate) &'a Value);

/// The parts of an event that an [`http::Request`] has no field for. Extractors find them in its extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventParts {
    pub(crate) caller: Option<Caller>,
    /// The path as the client sent it, decoded, with the stage or the base path of an API mapping.
    pub(crate) path: String,
    /// The values of the parameters in the route's path, decoded, in their order.
    pub(crate) path_parameters: Vec<String>,
    /// Names and values, decoded.
    pub(crate) query: Vec<(String, String)>,
}

/// The headers that affect the result of a request. An invalid value in one of them gets 400.
const READ_HEADERS: [&str; 5] = ["content-encoding", "content-type", "idempotency-key", "if-match", "if-none-match"];

impl<'a> HttpEvent<'a> {
    /// Finds the route of the event: by its route key, or by method and path if there is no such route key.
    ///
    /// # Errors
    /// 404 if there is no such route; 400 if the event has no method.
    pub(crate) fn route<T>(self, routes: &[(Route, T)]) -> Result<&(Route, T), Problem> {
        let context = self.context();
        let keys = [&context["routeKey"], &self.0["routeKey"]];
        let by_key = keys.into_iter().filter_map(|key| key.as_str()?.split_once(' ')).find_map(|(method, path)| {
            routes.iter().find(|(route, _)| route.method.as_str() == method && route.path == path)
        });
        if let Some(route) = by_key {
            return Ok(route);
        }
        let Some(method) = context["http"]["method"].as_str() else {
            return Err(Problem::malformed("The request has no method."));
        };
        let path = self.path_in_stage();
        let matches = |route: &Route| route.method.as_str() == method && values(route.path, &path).is_some();
        routes.iter().find(|(route, _)| matches(route)).ok_or_else(|| Problem::not_found("resource"))
    }

    /// Returns the caller whose token the API's authorizer verified.
    pub(crate) fn caller(self) -> Option<Caller> {
        Caller::from_claims(&self.context()["authorizer"]["jwt"]["claims"])
    }

    /// Builds the request for the handler of a route.
    ///
    /// # Errors
    /// 400 if a header, the query or the body cannot be read; 404 if a path parameter is missing.
    pub(crate) fn to_request(self, route: &Route) -> Result<Request, Problem> {
        let parts = EventParts {
            caller: self.caller(),
            path: self.path().into_owned(),
            path_parameters: self.path_parameters(route)?,
            query: self.query()?,
        };
        let mut request = Request::new(Body::from(self.body()?));
        *request.method_mut() = route.method.clone();
        *request.headers_mut() = self.headers()?;
        request.extensions_mut().insert(parts);
        Ok(request)
    }

    fn context(self) -> &'a Value {
        &self.0["requestContext"]
    }

    fn path(self) -> Cow<'a, str> {
        let path = [&self.0["rawPath"], &self.context()["http"]["path"]].into_iter().find_map(Value::as_str);
        Cow::Borrowed(path.unwrap_or_default())
    }

    /// The path without the name of the stage, which API Gateway puts before it.
    fn path_in_stage(self) -> String {
        let path = self.path();
        let stage = self.context()["stage"].as_str().unwrap_or_default();
        let in_stage = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
        match in_stage.filter(|path| !stage.is_empty() && path.starts_with('/')) {
            Some(path) => path.to_owned(),
            None => path.into_owned(),
        }
    }

    /// Returns the values of the parameters in the route's path.
    ///
    /// API Gateway decodes the values in `pathParameters`. Some emulators omit this field and send an encoded path;
    /// then the values are decoded from the path.
    fn path_parameters(self, route: &Route) -> Result<Vec<String>, Problem> {
        let sent = &self.0["pathParameters"];
        let names = route.path.split('/').filter_map(parameter_name);
        let values_of_path = || values(route.path, &self.path_in_stage());
        let value = |(index, name): (usize, &str)| {
            text(&sent[name]).map(Cow::into_owned).or_else(|| {
                let encoded = values_of_path()?.into_iter().nth(index)?;
                Some(percent_decode_str(&encoded).decode_utf8().ok()?.into_owned())
            })
        };
        let values: Option<Vec<String>> = names.enumerate().map(value).collect();
        values.ok_or_else(|| Problem::not_found("resource"))
    }

    /// Returns the query from `rawQueryString`, or from `queryStringParameters` if there is none.
    fn query(self) -> Result<Vec<(String, String)>, Problem> {
        let raw = text(&self.0["rawQueryString"]).unwrap_or_default();
        if raw.contains(|character: char| character.is_control() || " \"#<>".contains(character)) {
            return Err(Problem::malformed("The query has a character that must be percent-encoded."));
        }
        if !raw.is_empty() {
            return Ok(form_urlencoded::parse(raw.as_bytes()).into_owned().collect());
        }
        let pairs = |(name, value): (&String, &Value)| {
            let values = texts(value);
            // A parameter without a readable value is still one that was sent.
            let values = if values.is_empty() { vec![String::new()] } else { values };
            values.into_iter().map(|value| (name.clone(), value)).collect::<Vec<_>>()
        };
        Ok(self.0["queryStringParameters"].as_object().into_iter().flatten().flat_map(pairs).collect())
    }

    /// Returns the headers. Ignores invalid names, and values that are neither text, numbers nor booleans.
    ///
    /// A value with a control character is ignored, except in [`READ_HEADERS`]: without its idempotency key, a command
    /// could be executed twice.
    ///
    /// # Errors
    /// 400 if one of [`READ_HEADERS`] is invalid, or if there are too many headers.
    fn headers(self) -> Result<HeaderMap, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.0["headers"].as_object().into_iter().flatten() {
            let Ok(name) = HeaderName::try_from(name.as_str()) else { continue };
            for value in texts(value) {
                let value = match HeaderValue::try_from(value) {
                    Ok(value) => value,
                    Err(_) if !READ_HEADERS.contains(&name.as_str()) => continue,
                    Err(_) => return Err(Problem::malformed(format!("The header {name} has an invalid character."))),
                };
                let full = |_| Problem::malformed("The request has too many headers.");
                headers.try_append(name.clone(), value).map_err(full)?;
            }
        }
        Ok(headers)
    }

    fn body(self) -> Result<Vec<u8>, Problem> {
        let body = match &self.0["body"] {
            Value::Null => return Ok(Vec::new()),
            Value::String(body) => body,
            _ => return Err(Problem::malformed("The body of the event is not text.")),
        };
        let is_base64 = text(&self.0["isBase64Encoded"]).is_some_and(|text| text == "true");
        if !is_base64 {
            return Ok(body.clone().into_bytes());
        }
        BASE64.decode(body).map_err(|_| Problem::malformed("The body of the event is not valid base64."))
    }
}

/// The response to an event (payload format 2.0).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpAnswer {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_base64_encoded: bool,
}

impl HttpAnswer {
    /// Converts a response. A body that is not UTF-8 is encoded as base64.
    pub(crate) async fn new(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &parts.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let joined = headers.get(name.as_str()).map(|before| format!("{before}, {value}"));
            headers.insert(name.to_string(), joined.unwrap_or_else(|| value.into_owned()));
        }
        // The bodies of all responses are in memory, so reading one does not fail.
        let Ok(body) = to_bytes(body, usize::MAX).await else {
            let status_code = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
            return Self { status_code, headers: BTreeMap::new(), body: String::new(), is_base64_encoded: false };
        };
        let (body, is_base64_encoded) = match String::from_utf8(body.into()) {
            Ok(text) => (text, false),
            Err(bytes) => (BASE64.encode(bytes.as_bytes()), true),
        };
        Self { status_code: parts.status.as_u16(), headers, body, is_base64_encoded }
    }

    pub fn status(&self) -> u16 {
        self.status_code
    }
}

/// Returns text, a number or a boolean as text. `None` for null, a list and an object.
pub(crate) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(truth) => Some(truth.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns the text of a scalar, or the texts of all scalars in a list.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(text).map(Cow::into_owned).collect(),
        scalar => text(scalar).map(Cow::into_owned).into_iter().collect(),
    }
}

/// Encodes a path for a URL, such as the `Location` of a response.
pub(crate) fn percent_encode_path(path: &str) -> String {
    utf8_percent_encode(path, NOT_IN_PATHS).to_string()
}

/// Returns the name of a parameter in a route's path.
fn parameter_name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Returns the values in `path` of the parameters in `pattern`. `None` if the path does not match.
fn values(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    if pattern.len() != path.len() {
        return None;
    }
    let mut values = Vec::new();
    for (wanted, given) in pattern.into_iter().zip(path) {
        match parameter_name(wanted) {
            Some(_) if !given.is_empty() => values.push(given.to_owned()),
            None if wanted == given => {}
            Some(_) | None => return None,
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROUTES: [(Route, ()); 2] = [
        (Route { operation: "list", method: http::Method::GET, path: "/shelves/{shelf}/books", scopes: &[] }, ()),
        (Route { operation: "add", method: http::Method::POST, path: "/books", scopes: &[] }, ()),
    ];

    /// Returns the operation and the parts of an event, or the status of the problem.
    fn read(event: &Value) -> Result<(&'static str, EventParts), u16> {
        let event = HttpEvent(event);
        let routed = event.route(&ROUTES).and_then(|(route, ())| Ok((route.operation, event.to_request(route)?)));
        let (operation, request) = routed.map_err(|problem| problem.status().as_u16())?;
        Ok((operation, request.extensions().get::<EventParts>().cloned().unwrap()))
    }

    fn listing(fields: &Value) -> Value {
        let mut event = json!({ "routeKey": "GET /shelves/{shelf}/books", "pathParameters": { "shelf": "a%41/b#c" } });
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        event
    }

    #[test]
    fn the_route_key_chooses_the_route_and_path_parameters_are_not_decoded_again() {
        let (operation, parts) = read(&listing(&json!({ "rawPath": "/library/shelves/a%41/b#c/books" }))).unwrap();
        assert_eq!((operation, parts.path_parameters), ("list", vec!["a%41/b#c".to_owned()]));
        assert_eq!(parts.path, "/library/shelves/a%41/b#c/books");
    }

    #[test]
    fn without_a_route_key_method_and_path_choose_the_route() {
        let event = |method: &str, path: &str, stage: &str| {
            json!({
                "rawPath": path, "routeKey": "$default",
                "requestContext": { "stage": stage, "http": { "method": method, "path": path } },
            })
        };
        let shelf = |event: &Value| read(event).map(|(_, parts)| parts.path_parameters);
        for (path, stage) in [("/shelves/a%20b/books", "$default"), ("/prod/shelves/a%20b/books", "prod")] {
            assert_eq!(shelf(&event("GET", path, stage)), Ok(vec!["a b".to_owned()]), "{path}");
        }
        assert_eq!(shelf(&event("GET", "/shelves/%ff/books", "")), Err(404));
        for (method, path) in [("GET", "/shelf"), ("PUT", "/books"), ("GET", ""), ("GET", "/shelves//books")] {
            assert_eq!(shelf(&event(method, path, "")), Err(404), "{method} {path}");
        }
        for event in [json!({}), json!(null), json!([1]), json!({ "requestContext": "GET" })] {
            assert_eq!(shelf(&event), Err(400), "{event}");
        }
    }

    #[test]
    fn the_query_is_raw_or_in_pairs() {
        let query = |fields: Value| read(&listing(&fields)).map(|(_, parts)| parts.query);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let raw = query(json!({ "rawQueryString": "a=1%202&b", "queryStringParameters": { "c": "3" } }));
        assert_eq!(raw, Ok(vec![pair("a", "1 2"), pair("b", "")]));
        let pairs = query(json!({ "queryStringParameters": { "a": "1", "b": ["2", 3], "c": null } }));
        assert_eq!(pairs, Ok(vec![pair("a", "1"), pair("b", "2"), pair("b", "3"), pair("c", "")]));
        for raw in ["a=\"", "a=<", "a=>", "a=1 2", "a=\0", "a=#", "a=\u{7f}", "a\tb"] {
            assert_eq!(query(json!({ "rawQueryString": raw })), Err(400), "{raw:?}");
        }
    }

    #[test]
    fn a_body_is_text_or_base64() {
        let body = |fields: Value| HttpEvent(&fields).body().map_err(|problem| problem.status().as_u16());
        assert_eq!(body(json!({})), Ok(vec![]));
        assert_eq!(body(json!({ "body": "{}", "isBase64Encoded": null })), Ok(b"{}".to_vec()));
        for encoded in ["e30=", "e30"] {
            assert_eq!(body(json!({ "body": encoded, "isBase64Encoded": true })), Ok(b"{}".to_vec()));
        }
        for (body_of_event, is_base64) in [(json!("e"), true), (json!("{}"), true), (json!({}), false)] {
            assert_eq!(body(json!({ "body": body_of_event, "isBase64Encoded": is_base64 })), Err(400));
        }
    }

    #[test]
    fn an_invalid_header_is_ignored_unless_it_affects_the_result() {
        let headers = |headers: Value| HttpEvent(&json!({ "headers": headers })).headers().map_err(|_| ());
        let read =
            headers(json!({ "a": null, "b c": "1", "D": "2", "e": {}, "f": ["3", "4"], "host": "a b" })).unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(read, [("d", "2"), ("f", "3"), ("f", "4"), ("host", "a b")]);
        assert_eq!(headers(json!({ "a": "1\n2" })), Ok(HeaderMap::new()));
        assert_eq!(headers(json!({ "Idempotency-Key": "1\n2" })), Err(()));
    }

    #[test]
    fn a_path_is_encoded_for_a_url() {
        assert_eq!(percent_encode_path("/shop/a b/ä"), "/shop/a%20b/%C3%A4");
    }
}
