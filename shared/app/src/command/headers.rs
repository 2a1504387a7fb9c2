//! The request headers of a command.

use axum::extract::FromRequestParts;
use cqrs::Version;
use http::{HeaderMap, header, request::Parts};

use super::CommandOptions;
use crate::{Problem, etag, trace::is_traceparent};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandHeaders {
    /// `Idempotency-Key`, `If-Match` and `traceparent`. `If-Match: *` accepts any version.
    pub options: CommandOptions,
    has_if_match: bool,
}

impl CommandHeaders {
    /// Rejects `If-Match` for a command that creates its stream.
    ///
    /// # Errors
    /// 400 if the header is present.
    pub(crate) fn reject_if_match(&self, noun: &str) -> Result<(), Problem> {
        if self.has_if_match {
            let detail = format!("If-Match is not allowed here, because the {noun} does not exist yet.");
            return Err(Problem::malformed(detail));
        }
        Ok(())
    }
}

impl<S: Sync> FromRequestParts<S> for CommandHeaders {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let if_match = header_value(&parts.headers, header::IF_MATCH.as_str())?;
        let options = CommandOptions {
            key: header_value(&parts.headers, "idempotency-key")?.as_deref().map(idempotency_key).transpose()?,
            expected_version: if_match.as_deref().map(expected_version).transpose()?.flatten(),
            trace: header_value(&parts.headers, "traceparent").ok().flatten().filter(|trace| is_traceparent(trace)),
        };
        Ok(Self { options, has_if_match: if_match.is_some() })
    }
}

/// Returns the value of a header. Repeated headers are joined with commas, as API Gateway does.
fn header_value(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let lines: Result<Vec<&str>, _> = headers.get_all(name).iter().map(|line| line.to_str()).collect();
    let lines =
        lines.map_err(|_| Problem::malformed(format!("The header {name} must have only visible ASCII characters.")))?;
    Ok((!lines.is_empty()).then(|| lines.join(",")))
}

/// Parses `Idempotency-Key`: a bare key or a quoted string (RFC 9651, 3.3.3).
///
/// API Gateway joins a repeated header with commas. Equal keys count as one; different keys are an error.
fn idempotency_key(header: &str) -> Result<String, Problem> {
    let mut keys = Vec::new();
    let mut rest = header.trim();
    loop {
        let (key, after) = first_key(rest).ok_or_else(invalid_key)?;
        keys.push(key);
        rest = match after.trim_start().strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.trim().is_empty() => break,
            None => return Err(invalid_key()),
        };
    }
    keys.dedup();
    match <[String; 1]>::try_from(keys) {
        Ok([key]) if CommandOptions::is_key(&key) => Ok(key),
        Ok(_) | Err(_) => Err(invalid_key()),
    }
}

/// Splits the first key from the rest of the header.
fn first_key(header: &str) -> Option<(String, &str)> {
    let Some(quoted) = header.strip_prefix('"') else {
        let end = header.find(',').unwrap_or(header.len());
        let (bare, after) = header.split_at(end);
        return Some((bare.trim_end().to_owned(), after));
    };
    let mut key = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((key, characters.as_str())),
            '\\' => key.push(characters.next().filter(|escaped| ['"', '\\'].contains(escaped))?),
            character => key.push(character),
        }
    }
}

fn invalid_key() -> Problem {
    Problem::malformed(
        "Idempotency-Key must be one key of 1 to 255 visible ASCII characters, quoted if it contains a comma.",
    )
}

/// Parses `If-Match`. Returns `None` for `*`, which matches any version.
fn expected_version(header: &str) -> Result<Option<Version>, Problem> {
    match header.trim() {
        "*" => Ok(None),
        tag => match etag::version(tag) {
            Some(version) => Ok(Some(version)),
            None => Err(Problem::malformed("If-Match must be one ETag or quoted version, such as \"3\", or *.")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_bare_quoted_or_sent_twice() {
        for header in ["key-1", " key-1 ", "\"key-1\"", "key-1,key-1", "\"key-1\", key-1"] {
            assert_eq!(idempotency_key(header).unwrap(), "key-1", "{header}");
        }
        assert_eq!(idempotency_key(r#""a,\"b\\""#).unwrap(), r#"a,"b\"#);
        assert_eq!(idempotency_key(&"k".repeat(255)).unwrap().len(), 255);
    }

    #[test]
    fn an_invalid_key_is_rejected() {
        let long = "k".repeat(256);
        for header in
            ["", " ", "\"\"", &long, "a b", "a\tb", "ä", "a,b", "\"a\",\"b\"", "\"a", "\"a\"b", "a,", r#""\n""#]
        {
            assert!(idempotency_key(header).is_err(), "{header}");
        }
    }

    #[test]
    fn if_match_is_one_version_or_tag_or_any() {
        for header in ["\"3\"", "\"3-s1\"", "\"3-s1-behind\"", " \"3-e5d41402a\" "] {
            assert_eq!(expected_version(header).unwrap(), Some(Version::new(3)), "{header}");
        }
        assert_eq!(expected_version("*").unwrap(), None);
        for header in ["3", "W/\"3\"", "\"3\",\"4\"", "\"x\"", ""] {
            assert!(expected_version(header).is_err(), "{header}");
        }
    }
}
