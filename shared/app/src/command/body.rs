//! Extracts request bodies: their media type, their size and their JSON.

use std::error::Error;

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use super::strict_json::{self, MAX_BYTES, too_large};
use crate::Problem;

/// Extracts the body as a JSON object. Rejects unknown fields, repeated fields, and arrays in place of objects.
///
/// # Errors
/// 415 if the content type is not JSON, 413 above 64 KiB, 400 for invalid JSON, and 422 with a pointer to the first
/// field that is unknown, repeated, missing or of a wrong type.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let body = to_bytes(request.into_body(), MAX_BYTES).await.map_err(unreadable)?;
        strict_json::parse(&body).map(Self)
    }
}

/// Splits a header at its commas, but not within quotes.
fn split_list(header: &str) -> Vec<&str> {
    let mut is_quoted = false;
    header
        .split(|character| {
            is_quoted ^= character == '"';
            character == ',' && !is_quoted
        })
        .collect()
}

/// Requires a JSON body without compression.
///
/// API Gateway joins the values of a repeated header with commas. Each value is checked.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let values = |name: HeaderName| {
        let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("invalid"));
        lines.flat_map(split_list).map(str::trim).filter(|value| !value.is_empty())
    };
    let is_json = values(header::CONTENT_TYPE).next().is_some() && values(header::CONTENT_TYPE).all(is_json);
    let mut encodings = values(header::CONTENT_ENCODING);
    if is_json && encodings.all(|encoding| encoding.eq_ignore_ascii_case("identity")) {
        return Ok(());
    }
    Err(unsupported_media_type())
}

/// Checks for `application/json` in UTF-8. The media type has no parameters (RFC 8259, section 11), but many clients
/// send `charset`. Other parameters are ignored.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                let charset = charset.trim().trim_matches('"');
                ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
            }
            Some(_) | None => true,
        })
}

/// 415: the body is not declared as uncompressed JSON.
pub(crate) fn unsupported_media_type() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "Unsupported media type",
        "Send uncompressed JSON in UTF-8 with Content-Type: application/json.",
    )
}

/// 413 if the body exceeds 64 KiB, 400 if it ends too early.
fn unreadable(error: axum::Error) -> Problem {
    if error.source().is_some_and(|error| error.is::<LengthLimitError>()) {
        return too_large();
    }
    Problem::malformed("The body of the request is incomplete.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_in_utf_8_without_compression() {
        let check = |headers: &[(HeaderName, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value)));
            require_json(&headers.collect()).is_ok()
        };
        let json = (header::CONTENT_TYPE, "application/json");
        for content_type in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json, application/json",
            "application/json,application/json; charset=utf-8",
        ] {
            assert!(check(&[(header::CONTENT_TYPE, content_type)]), "{content_type}");
        }
        for content_type in [
            "",
            "text/json",
            "application/json, text/plain",
            "application/json; charset=iso-8859-1",
            "application/json; Charset=utf-16",
            "application/json, application/json; charset=windows-1252",
        ] {
            assert!(!check(&[(header::CONTENT_TYPE, content_type)]), "{content_type}");
        }
        for (encoding, accepted) in
            [("", true), ("identity", true), ("Identity, identity", true), ("gzip", false), ("identity, br", false)]
        {
            assert_eq!(check(&[json.clone(), (header::CONTENT_ENCODING, encoding)]), accepted, "{encoding}");
        }
    }
}
