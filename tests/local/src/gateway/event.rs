//! Conversion of requests to events of payload format 2.0, and of function results to responses.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// A request that API Gateway passes to a function.
pub struct ApiEvent<'a> {
    pub method: &'a str,
    /// The path of the route, such as `/orders/{order_id}`.
    pub route: &'a str,
    /// Decoded.
    pub path: &'a str,
    pub query: &'a str,
    /// Lower-case names. Values of repeated headers are joined by commas.
    pub headers: Map<String, Value>,
    /// Decoded.
    pub path_parameters: &'a [(String, String)],
    /// The result of the authorizer: `{"jwt": {"claims": …, "scopes": …}}`.
    pub authorizer: Value,
    pub body: &'a [u8],
    pub now: Timestamp,
}

impl ApiEvent<'_> {
    /// Returns the event of payload format 2.0. Query parameters of the same name are joined by commas.
    pub fn to_json(&self) -> Value {
        let Self { method, path, query, now, .. } = self;
        let route_key = format!("{method} {}", self.route);
        let (body, is_base64) = match std::str::from_utf8(self.body) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (BASE64_STANDARD.encode(self.body), true),
        };
        let mut event = json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": path,
            "rawQueryString": query,
            "headers": self.headers,
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "local",
                "domainName": "localhost",
                "domainPrefix": "localhost",
                "requestId": format!("local-{}", now.as_microsecond()),
                "routeKey": route_key,
                "stage": "$default",
                "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                "timeEpoch": now.as_millisecond(),
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "",
                },
                "authorizer": self.authorizer,
            },
            "isBase64Encoded": is_base64,
        });
        if !query.is_empty() {
            let pairs = form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into(), value.into()));
            event["queryStringParameters"] = joined(pairs).into();
        }
        if !self.path_parameters.is_empty() {
            event["pathParameters"] = joined(self.path_parameters.iter().cloned()).into();
        }
        if !body.is_empty() {
            event["body"] = body.into();
        }
        event
    }
}

/// Converts headers to those of an event. Like API Gateway, replaces `X-Forwarded-Proto` and `X-Forwarded-Port`, and
/// appends the client's address to `X-Forwarded-For`.
pub(super) fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let own = [("x-forwarded-proto", "http"), ("x-forwarded-port", "80")];
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let sent = headers.iter().filter(|(name, _)| own.iter().all(|(own, _)| name.as_str() != *own));
    let sent = sent.map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let own = own.into_iter().chain([("x-forwarded-for", "127.0.0.1")]);
    joined(sent.chain(own.map(|(name, value)| (name.to_owned(), value.to_owned()))))
}

fn joined(pairs: impl IntoIterator<Item = (String, String)>) -> Map<String, Value> {
    let mut joined: Map<String, Value> = Map::new();
    for (name, value) in pairs {
        let value = match joined.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        joined.insert(name, value.into());
    }
    joined
}

/// Converts the result of a function to a response. `None` if it is not a response.
pub(super) fn response(answer: &Value) -> Option<Response> {
    let status = StatusCode::from_u16(answer.get("statusCode")?.as_u64()?.try_into().ok()?).ok()?;
    let body = answer.get("body").and_then(Value::as_str).unwrap_or_default();
    let body = match answer.get("isBase64Encoded").and_then(Value::as_bool) {
        Some(true) => BASE64_STANDARD.decode(body).ok()?,
        Some(false) | None => body.as_bytes().to_vec(),
    };
    let mut response = (status, Body::from(body)).into_response();
    response.headers_mut().clear();
    let single = answer.get("headers").and_then(Value::as_object).into_iter().flatten();
    let single = single.filter_map(|(name, value)| Some((name, value.as_str()?)));
    let multiple = answer.get("multiValueHeaders").and_then(Value::as_object).into_iter().flatten();
    let multiple = multiple.flat_map(|(name, values)| {
        values.as_array().into_iter().flatten().filter_map(move |value| Some((name, value.as_str()?)))
    });
    let mut named = HeaderMap::new();
    for (name, value) in multiple {
        named.append(HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(value).ok()?);
    }
    for (name, value) in single {
        named.insert(HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(value).ok()?);
    }
    response.headers_mut().extend(named);
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_headers_are_those_of_the_gateway() {
        let own = json!({ "x-forwarded-proto": "http", "x-forwarded-port": "80", "x-forwarded-for": "127.0.0.1" });
        assert_eq!(Value::from(headers(&HeaderMap::new())), own);
        let sent = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-proto", "ftp"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-for", "203.0.113.1, 203.0.113.2"),
            ("x-forwarded-for", "203.0.113.3"),
        ];
        let sent = sent.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut expected = own;
        expected["x-forwarded-for"] = "203.0.113.1, 203.0.113.2,203.0.113.3,127.0.0.1".into();
        assert_eq!(Value::from(headers(&HeaderMap::from_iter(sent))), expected);
    }
}
