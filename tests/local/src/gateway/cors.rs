//! Cross-origin requests, as API Gateway answers them from the `CorsConfiguration` of the template.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};

use crate::template::CorsDefinition;

/// Returns the response to a preflight request. `None` for any other request.
pub(super) fn preflight(cors: &CorsDefinition, request: &Parts) -> Option<Response> {
    let asked_method = request.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let origin = request.headers.get(header::ORIGIN)?;
    if request.method != Method::OPTIONS {
        return None;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let admits_method = admits(&cors.methods, asked_method.to_str().unwrap_or_default());
    if let Some(allowed) = allowed_origin(cors, origin).filter(|_| admits_method) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        insert(headers, header::ACCESS_CONTROL_ALLOW_METHODS, &cors.methods.join(","));
        insert(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, &cors.headers.join(","));
        if let Some(seconds) = cors.max_age {
            insert(headers, header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
        }
    }
    Some(response)
}

/// Adds the headers that let a page of an allowed origin read the response.
pub(super) fn add_headers(cors: &CorsDefinition, origin: Option<&HeaderValue>, response: &mut Response) {
    if let Some(allowed) = origin.and_then(|origin| allowed_origin(cors, origin)) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        insert(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, &cors.exposed.join(","));
    }
}

/// The value of `Access-Control-Allow-Origin`. `None` if the origin is not allowed.
fn allowed_origin(cors: &CorsDefinition, origin: &HeaderValue) -> Option<HeaderValue> {
    if cors.origins.iter().any(|allowed| allowed == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    cors.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

fn admits(allowed: &[String], asked: &str) -> bool {
    allowed.iter().any(|allowed| allowed == "*" || allowed == asked)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Some(value) = HeaderValue::from_str(value).ok().filter(|value| !value.is_empty()) {
        headers.insert(name, value);
    }
}
