//! What the headers of a command say: its key, the version that the caller saw, and the trace it belongs to.

use app::{Caller, Problem, etag};
use axum::extract::FromRequestParts;
use cqrs::{CommandId, Version};
use cqrs_dynamodb::Environment;
use http::{HeaderMap, header, request::Parts};

/// What the headers of a command say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CommandHeaders {
    /// `Idempotency-Key`: under which key a repeat of this command is recognised.
    pub(crate) key: Option<String>,
    /// `If-Match`: the version that the caller saw. `*`, any version, is as none.
    pub(crate) expected_version: Option<Version>,
    /// `traceparent`: the trace that the command belongs to (W3C Trace Context).
    pub(crate) trace: Option<String>,
    has_if_match: bool,
}

impl CommandHeaders {
    /// The id of the command: made of the caller and the key, or random.
    pub(crate) fn command_id(&self, caller: &Caller, environment: &Environment) -> CommandId {
        match &self.key {
            Some(key) => CommandId::derived(&caller.subject, key),
            None => CommandId::random(environment.random_bytes()),
        }
    }

    /// Refuses `If-Match` where there is nothing yet to match.
    ///
    /// # Errors
    /// 400.
    pub(crate) fn no_expected_version(&self) -> Result<(), Problem> {
        if self.has_if_match {
            return Err(Problem::malformed("If-Match says nothing about an order that is yet to be placed."));
        }
        Ok(())
    }
}

impl<S: Sync> FromRequestParts<S> for CommandHeaders {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let if_match = one(&parts.headers, header::IF_MATCH.as_str())?;
        Ok(Self {
            key: one(&parts.headers, "idempotency-key")?.as_deref().map(idempotency_key).transpose()?,
            expected_version: if_match.as_deref().map(expected_version).transpose()?.flatten(),
            trace: one(&parts.headers, "traceparent").ok().flatten().filter(|trace| is_traceparent(trace)),
            has_if_match: if_match.is_some(),
        })
    }
}

/// A header as one text: lines of one name are joined by commas, as API Gateway does it.
fn one(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let lines: Result<Vec<&str>, _> = headers.get_all(name).iter().map(|line| line.to_str()).collect();
    let lines = lines.map_err(|_| Problem::malformed(format!("The header {name} has characters beyond ASCII.")))?;
    Ok((!lines.is_empty()).then(|| lines.join(",")))
}

/// The key in `Idempotency-Key`, bare or as a quoted string (RFC 9651, 3.3.3). A header that came twice has been joined
/// by commas on its way: equal keys count once, different ones are a mistake.
fn idempotency_key(header: &str) -> Result<String, Problem> {
    let mut keys = Vec::new();
    let mut rest = header.trim();
    loop {
        let (key, after) = first_key(rest).ok_or_else(bad_key)?;
        keys.push(key);
        rest = match after.trim_start().strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.trim().is_empty() => break,
            None => return Err(bad_key()),
        };
    }
    keys.dedup();
    match <[String; 1]>::try_from(keys) {
        Ok([key]) if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(key),
        Ok(_) | Err(_) => Err(bad_key()),
    }
}

/// The key at the start of the header, and what comes after it.
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

fn bad_key() -> Problem {
    Problem::malformed(
        "Idempotency-Key must be one key of 1 to 255 visible ASCII characters, in quotes if it has a comma.",
    )
}

/// The version in `If-Match`; `None` for `*`, which is any version.
fn expected_version(header: &str) -> Result<Option<Version>, Problem> {
    match header.trim() {
        "*" => Ok(None),
        tag => match etag::version(tag) {
            Some(version) => Ok(Some(version)),
            None => Err(Problem::malformed("If-Match must be one version in quotes, such as \"3\", or *.")),
        },
    }
}

/// Whether this looks like a `traceparent` of version 00 (W3C Trace Context, 3.2.2); another one is left aside.
fn is_traceparent(header: &str) -> bool {
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    matches!(header.split('-').collect::<Vec<_>>()[..], ["00", trace, span, flags]
        if hex(trace, 32) && hex(span, 16) && hex(flags, 2))
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
    fn a_key_that_is_none_is_refused() {
        let long = "k".repeat(256);
        for header in
            ["", " ", "\"\"", &long, "a b", "a\tb", "ä", "a,b", "\"a\",\"b\"", "\"a", "\"a\"b", "a,", r#""\n""#]
        {
            assert!(idempotency_key(header).is_err(), "{header}");
        }
    }

    #[test]
    fn an_expected_version_is_a_number_in_quotes_or_any() {
        assert_eq!(expected_version("\"3\"").unwrap(), Some(Version::new(3)));
        assert_eq!(expected_version("*").unwrap(), None);
        for header in ["3", "W/\"3\"", "\"3\",\"4\"", "\"x\"", ""] {
            assert!(expected_version(header).is_err(), "{header}");
        }
    }

    #[test]
    fn only_a_well_formed_trace_is_kept() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for other in ["", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "00-1-2-3", "alice"] {
            assert!(!is_traceparent(other), "{other}");
        }
    }
}
