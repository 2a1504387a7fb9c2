//! Who asks: the identity that the API's authorizer has verified, and nothing else.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use http::request::Parts;
use lambda_http::{RequestExt, request::RequestContext};

use crate::Problem;

/// Who asks, and what they may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The token's `sub`.
    pub subject: String,
    scopes: BTreeSet<String>,
}

/// What a token permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Place and cancel one's own orders.
    Write,
    /// Read one's own orders.
    Read,
    /// Read, ship and deliver any order.
    Fulfil,
    /// Everything, and the dashboard.
    Admin,
}

impl Scope {
    /// The scope's name in a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "orders/write",
            Self::Read => "orders/read",
            Self::Fulfil => "orders/fulfil",
            Self::Admin => "orders/admin",
        }
    }
}

impl Caller {
    /// Whether the caller has one of these scopes.
    pub fn has_any(&self, scopes: &[Scope]) -> bool {
        scopes.iter().any(|scope| self.scopes.contains(scope.as_str()))
    }

    /// Refuses a caller who has none of these scopes.
    ///
    /// # Errors
    /// 403.
    pub fn needs_any(&self, scopes: &[Scope]) -> Result<(), Problem> {
        if self.has_any(scopes) { Ok(()) } else { Err(Problem::forbidden()) }
    }

    /// The caller of a request that passed a JWT authorizer of an HTTP API; the claims are all text there, and lists
    /// look like `[a b]`.
    fn of(parts: &Parts) -> Option<Self> {
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
        Self::of(parts).ok_or_else(Problem::unauthorized)
    }
}
