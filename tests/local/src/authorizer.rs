//! A JWT authorizer of an HTTP API, and an issuer of its own for it to trust.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Map, Value, json};

/// Who the local issuer says it is.
const ISSUER: &str = "https://local.invalid";
/// Whom its tokens are for.
const AUDIENCE: &str = "orders";
/// All scopes there are.
const OPERATOR_SCOPES: &str = "orders/write orders/read orders/fulfil orders/admin";

/// Issues tokens and verifies them.
pub struct Authorizer {
    signs: EncodingKey,
    verifies: DecodingKey,
}

/// Why a request does not pass: what API Gateway answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// 401: no token, or one that is not valid.
    Unauthorized,
    /// 403: a valid token without any of the scopes.
    Forbidden,
}

impl Authorizer {
    /// An issuer with a key of its own, which ends with it.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn new() -> Result<Self, String> {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|error| error.to_string())?;
        let public = Ed25519KeyPair::from_pkcs8(key.as_ref()).map_err(|error| error.to_string())?;
        Ok(Self {
            signs: EncodingKey::from_ed_der(key.as_ref()),
            verifies: DecodingKey::from_ed_der(public.public_key().as_ref()),
        })
    }

    /// A token for `sub` with these scopes, separated by spaces, that expires at `expires` in seconds since 1970.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn token(&self, sub: &str, scope: &str, expires: i64) -> Result<String, String> {
        let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": sub, "scope": scope, "exp": expires });
        encode(&Header::new(Algorithm::EdDSA), &claims, &self.signs).map_err(|error| error.to_string())
    }

    /// The claims of a request that passes, all as text as API Gateway hands them on. Without a token, an operator
    /// with all scopes.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn claims(&self, authorization: Option<&str>, scopes: &[String]) -> Result<Map<String, Value>, Refused> {
        let Some(header) = authorization else {
            return Ok(texts(json!({ "sub": "operator", "scope": OPERATOR_SCOPES })));
        };
        let token = header.strip_prefix("Bearer ").unwrap_or(header);
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.leeway = 0;
        let token = decode::<Value>(token, &self.verifies, &validation).map_err(|_| Refused::Unauthorized)?;
        let claims = texts(token.claims);
        let scope = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
        let has_one = scopes.is_empty() || scope.split(' ').any(|held| scopes.iter().any(|scope| scope == held));
        if has_one { Ok(claims) } else { Err(Refused::Forbidden) }
    }
}

fn texts(claims: Value) -> Map<String, Value> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let Value::Object(claims) = claims else { return Map::new() };
    claims.into_iter().map(|(name, value)| (name, Value::String(text(value)))).collect()
}
