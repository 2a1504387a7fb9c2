//! Entity tags (RFC 9110, 8.8.3): the version of a stream, and everything else that the body depends on.
//!
//! | response | tag | the body also depends on |
//! |---|---|---|
//! | to a command | `"3"` | nothing |
//! | a view | `"3-s1"`, `"3-s1-behind"` | the schema version of the view, and whether it is behind |
//! | a history | `"3-e5d41402a"` | the schema versions of the events |

use std::fmt::Display;

use axum::response::{IntoResponse, Response};
use cqrs::{Event, Projection, Version, derived_id};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::parameters::MAX_VERSION;

/// The tag of a response, in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag(String);

impl EntityTag {
    /// The tag of an answer that depends only on the version, such as `"3"`.
    pub fn of_version(version: Version) -> Self {
        Self::new(version)
    }

    /// The tag of a view of `P`, such as `"3-s1"`, or `"3-s1-behind"` if the stream has later commits that cannot be
    /// folded.
    pub fn of_view<P: Projection>(version: Version, behind: bool) -> Self {
        Self::new(format!("{version}-s{}{}", P::SCHEMA, if behind { "-behind" } else { "" }))
    }

    /// The tag of the events of a stream, such as `"3-e5d41402a"`. It ends with a digest of the schema versions of
    /// the events.
    pub fn of_history<E: Event>(version: Version) -> Self {
        let schemas: Vec<String> = E::SCHEMAS.iter().map(|(name, schema)| format!("{name} {schema}")).collect();
        let schemas: Vec<&str> = schemas.iter().map(String::as_str).collect();
        let digest = derived_id(&schemas).simple().to_string();
        Self::new(format!("{version}-e{}", digest.get(..8).unwrap_or_default()))
    }

    fn new(text: impl Display) -> Self {
        Self(format!("\"{text}\""))
    }

    /// Returns the value of the header `ETag`.
    pub fn header(&self) -> HeaderValue {
        // The fallback is unreachable: a tag has only digits, letters, dashes and quotes.
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("\"0\""))
    }

    /// Adds the tag to `response`, or replaces it with a 304 if `If-None-Match` has the tag.
    pub fn respond(&self, headers: &HeaderMap, response: Response) -> Response {
        let is_cached = if_none_match(headers).any(|tag| tag == "*" || tag == self.0);
        let mut response = if is_cached { StatusCode::NOT_MODIFIED.into_response() } else { response };
        response.headers_mut().insert(header::ETAG, self.header());
        response
    }
}

/// Parses the version in an entity tag, such as `"3"` or `"3-s1"`. Returns `None` if the tag does not have the form of
/// this API's tags.
pub fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix('"')?.strip_suffix('"')?;
    let mut parts = text.split('-');
    let digits = parts.next()?;
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let number: u64 = digits.parse().ok().filter(|_| parts.all(is_part))?;
    (number.to_string() == digits).then(|| Version::new(number))
}

/// Returns the highest version in `If-None-Match`, which is the version that the caller has seen.
pub fn seen_version(headers: &HeaderMap) -> Option<Version> {
    if_none_match(headers).filter_map(version).filter(|version| (1..=MAX_VERSION).contains(&version.get())).max()
}

/// Returns the tags in `If-None-Match` without the prefix `W/`, for a weak comparison.
fn if_none_match(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).map(|tag| tag.trim().trim_start_matches("W/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(if_none_match: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(if_none_match))])
    }

    #[test]
    fn a_tag_names_its_version_alone_or_with_more() {
        for tag in ["\"3\"", "\"3-s1\"", "\"3-s1-behind\"", "\"3-e5d41402a\""] {
            assert_eq!(version(tag), Some(Version::new(3)), "{tag}");
        }
        for other in
            ["3", "\"03\"", "\"+3\"", "W/\"3\"", "\"\"", "\"x\"", "\"", "\"3-\"", "\"3-s1-\"", "\"3-S1\"", "\"-3\""]
        {
            assert_eq!(version(other), None, "{other}");
        }
    }

    #[test]
    fn if_none_match_takes_lists_weak_tags_and_any() {
        let tag = EntityTag::new("2-s1");
        let status = |value| tag.respond(&headers(value), ().into_response()).status();
        for value in ["\"2-s1\"", "\"1\", \"2-s1\"", "W/\"2-s1\"", "*"] {
            assert_eq!(status(value), StatusCode::NOT_MODIFIED, "{value}");
        }
        for value in ["\"2\"", "\"1-s1\"", "\"2-s2\"", "\"2-s1-behind\"", "2-s1", ""] {
            assert_eq!(status(value), StatusCode::OK, "{value}");
        }
    }

    #[test]
    fn the_highest_version_in_if_none_match_was_seen() {
        for (value, seen) in [
            ("\"2-s1\"", Some(2)),
            ("\"2\", W/\"11-s1-behind\", \"3\"", Some(11)),
            ("\"2\", \"9007199254740992\", \"other\"", Some(2)),
            ("\"0\"", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(seen_version(&headers(value)), seen.map(Version::new), "{value}");
        }
    }
}
