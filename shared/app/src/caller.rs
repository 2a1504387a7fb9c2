//! The authenticated caller, as the API's authorizer verified it.

#![allow(clippy::indexing_slicing, reason = "indexing a JSON value returns null for a missing part")]

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use cqrs::Scope;
use http::request::Parts;
use serde_json::Value;

use crate::{
    Problem,
    http_event::{EventParts, texts},
};

/// The maximum number of characters in a subject (OpenID Connect Core 1.0, section 2).
const MAX_SUBJECT: usize = 255;

/// The authenticated caller and its scopes.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The token's `sub`.
    pub subject: String,
    scopes: BTreeSet<String>,
}

impl Caller {
    /// Creates a caller with the scopes in a list that is separated by spaces. Returns `None` if the subject does not have
    /// 1 to 255 characters.
    pub fn new(subject: String, scopes: &str) -> Option<Self> {
        let scopes = scopes.split_whitespace().map(str::to_owned).collect();
        (1..=MAX_SUBJECT).contains(&subject.chars().count()).then_some(Self { subject, scopes })
    }

    /// Returns whether the caller has at least one of the scopes.
    pub fn has_any(&self, scopes: &[Scope]) -> bool {
        scopes.iter().any(|scope| self.scopes.contains(scope.as_str()))
    }

    /// Requires at least one of the scopes.
    ///
    /// # Errors
    /// 403 if the caller has none of them.
    pub fn require_any(&self, scopes: &[Scope]) -> Result<(), Problem> {
        if self.has_any(scopes) { Ok(()) } else { Err(Problem::forbidden()) }
    }

    /// Reads the claims that an HTTP API's JWT authorizer adds to the event.
    ///
    /// API Gateway passes every claim as text, and a list as `[a b]`. Emulators pass numbers, booleans and lists as
    /// they are. The scopes are those of `scope` (RFC 8693) and of `scp`, which some identity providers use. Returns
    /// `None` if `sub` is missing or invalid.
    pub(crate) fn from_claims(claims: &Value) -> Option<Self> {
        let subject = match &claims["sub"] {
            Value::String(subject) => subject.clone(),
            // A float is not accepted, because two different numbers may be parsed to the same float.
            Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
            _ => return None,
        };
        let lists = ["scope", "scp"].into_iter().flat_map(|name| texts(&claims[name]));
        Some(Self { scopes: lists.flat_map(|list| scopes_of(&list)).collect(), ..Self::new(subject, "")? })
    }
}

/// Splits a list of scopes. The list is a JSON list, or text that is separated by spaces, with or without the brackets
/// that API Gateway adds. A scope itself may contain commas and brackets (RFC 6749, section 3.3).
fn scopes_of(list: &str) -> Vec<String> {
    if let Ok(scopes) = serde_json::from_str::<Vec<String>>(list) {
        return scopes;
    }
    let unwrapped = list.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
    unwrapped.unwrap_or(list).split_whitespace().map(str::to_owned).collect()
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<EventParts>().and_then(|event| event.caller.clone());
        caller.ok_or_else(Problem::unauthorized)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_scopes_are_the_union_of_scope_and_scp_in_any_form() {
        for claims in [
            json!({ "sub": "a", "scope": "read write" }),
            json!({ "sub": "a", "scp": "[read write]" }),
            json!({ "sub": "a", "scp": ["read", "write"] }),
            json!({ "sub": "a", "scope": "read", "scp": ["write"] }),
            json!({ "sub": "a", "scope": ["write"], "scp": "[read]" }),
            json!({ "sub": "a", "scope": null, "scp": "[\"read\",\"write\"]" }),
            json!({ "sub": "a", "scope": ["read write", null, 1.5, {}], "exp": 1, "email_verified": true }),
        ] {
            let caller = Caller::from_claims(&claims).unwrap();
            assert!(["read", "write"].iter().all(|scope| caller.scopes.contains(*scope)), "{claims}");
        }
    }

    #[test]
    fn a_scope_inside_another_one_grants_nothing() {
        for scope in ["x,write", "[write", "write]", "\"write\"", "read:write", "[\"write\""] {
            let caller = Caller::from_claims(&json!({ "sub": "a", "scope": scope, "scp": [scope] })).unwrap();
            assert!(!caller.scopes.contains("write"), "{scope}");
        }
    }

    #[test]
    fn a_subject_has_1_to_255_characters() {
        let subject = |sub: Value| Caller::from_claims(&json!({ "sub": sub })).map(|caller| caller.subject);
        let long = "\u{e4}".repeat(255);
        assert_eq!(subject(json!(long)), Some(long));
        assert_eq!(subject(json!(12345)), Some("12345".to_owned()));
        for sub in
            [json!(null), json!(""), json!("a".repeat(256)), json!(["a"]), json!({ "a": 1 }), json!(1.5), json!(true)]
        {
            assert_eq!(subject(sub.clone()), None, "{sub}");
        }
        assert_eq!(Caller::from_claims(&json!(null)), None);
    }
}
