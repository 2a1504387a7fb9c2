//! The authenticated caller, as the API's authorizer verified it.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use cqrs::Scope;
use http::request::Parts;
use lambda_http::{RequestExt, request::RequestContext};

use crate::Problem;

/// The authenticated caller and its scopes.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The token's `sub`.
    pub subject: String,
    scopes: BTreeSet<String>,
}

impl Caller {
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

    /// Reads the claims that an HTTP API's JWT authorizer adds to the request.
    ///
    /// API Gateway passes every claim as text, and a list as `[a b]`.
    pub(crate) fn from_claims(parts: &Parts) -> Option<Self> {
        let Some(RequestContext::ApiGatewayV2(context)) = parts.request_context_ref() else { return None };
        let claims = &context.authorizer.as_ref()?.jwt.as_ref()?.claims;
        let subject = claims.get("sub").filter(|subject| !subject.is_empty())?.clone();
        let scopes = claims.get("scope").or_else(|| claims.get("scp")).map(String::as_str).unwrap_or_default();
        let scopes = scopes.trim_matches(['[', ']']).split([' ', ',']).filter(|scope| !scope.is_empty());
        Some(Self { subject, scopes: scopes.map(str::to_owned).collect() })
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::from_claims(parts).ok_or_else(Problem::unauthorized)
    }
}
