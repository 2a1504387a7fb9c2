//! Entity tags (RFC 9110, 8.8.3): the version of a stream, in quotes.

use axum::response::{IntoResponse, Response};
use cqrs::Version;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// Formats the entity tag of a version, such as `"3"`.
pub fn etag(version: Version) -> HeaderValue {
    // The fallback is unreachable: a quoted number is always a valid header value.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// Parses the version in an entity tag. Returns `None` if this API did not create the tag.
pub fn version(tag: &str) -> Option<Version> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then(|| Version::new(number))
}

/// Adds the entity tag to `response`, or replaces it with a 304 if `If-None-Match` has the tag.
pub fn respond_conditionally(headers: &HeaderMap, current: Version, response: Response) -> Response {
    let mut response = if matches(headers, current) { StatusCode::NOT_MODIFIED.into_response() } else { response };
    response.headers_mut().insert(header::ETAG, etag(current));
    response
}

/// Returns whether `If-None-Match` has the tag of `current`, by weak comparison, or `*`.
fn matches(headers: &HeaderMap, current: Version) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || version(tag) == Some(current))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_tag() {
        assert_eq!(version("\"3\""), Some(Version::new(3)));
        for other in ["3", "\"03\"", "\"+3\"", "W/\"3\"", "\"\"", "\"x\"", "\""] {
            assert_eq!(version(other), None, "{other}");
        }
    }

    #[test]
    fn if_none_match_takes_lists_weak_tags_and_any() {
        let matches = |value: &'static str| {
            matches(&HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(value))]), Version::new(2))
        };
        assert!(["\"2\"", "\"1\", \"2\"", "W/\"2\"", "*"].into_iter().all(matches));
        assert!(!["\"1\"", "2", ""].into_iter().any(matches));
    }
}
