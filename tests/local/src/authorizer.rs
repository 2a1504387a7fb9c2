//! The JWT authorizer of the HTTP API, with a local issuer that it trusts.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, get_current_timestamp};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Map, Value, json};

const ISSUER: &str = "https://local.invalid";
const KEY_ID: &str = "local";
const AUDIENCE: &str = "local";

/// Issues tokens and verifies them.
pub struct Authorizer {
    signing_key: EncodingKey,
    verification_key: DecodingKey,
    public: Vec<u8>,
    required: bool,
    /// The scopes of a caller without a token, separated by spaces.
    operator_scopes: String,
}

/// The reason why API Gateway refuses a request before it invokes a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// 401: the token is missing or invalid.
    Unauthorized,
    /// 403: the token has none of the route's scopes.
    Forbidden,
}

impl Authorizer {
    /// An issuer with a new key in memory.
    ///
    /// # Errors
    /// Fails if no key can be generated.
    pub fn new() -> Result<Self, String> {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|error| error.to_string())?;
        Self::with_key(key.as_ref())
    }

    /// An issuer with the key in `file`, so that tokens stay valid after a restart. Creates the file if it is missing.
    ///
    /// # Errors
    /// Fails if the file contains no Ed25519 key, or cannot be read or written.
    pub fn with_key_file(file: &Path) -> Result<Self, String> {
        let describe = |error: std::io::Error| format!("{}: {error}", file.display());
        if !file.exists() {
            let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|error| error.to_string())?;
            fs::write(file, key.as_ref()).map_err(describe)?;
        }
        Self::with_key(&fs::read(file).map_err(describe)?)
    }

    fn with_key(pkcs8: &[u8]) -> Result<Self, String> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|error| error.to_string())?;
        let public = pair.public_key().as_ref().to_vec();
        let (signing_key, verification_key) = (EncodingKey::from_ed_der(pkcs8), DecodingKey::from_ed_der(&public));
        Ok(Self { signing_key, verification_key, public, required: false, operator_scopes: String::new() })
    }

    /// Sets whether requests without a token are refused. By default they act as an operator.
    #[must_use]
    pub fn required(self, required: bool) -> Self {
        Self { required, ..self }
    }

    /// Sets the scopes of a request without a token, separated by spaces.
    #[must_use]
    pub fn with_operator_scopes(self, scopes: &str) -> Self {
        Self { operator_scopes: scopes.to_owned(), ..self }
    }

    /// The public key as a JSON Web Key Set (RFC 7517; RFC 8037 for Ed25519).
    pub fn key_set(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(&self.public);
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": KEY_ID, "x": x }] })
    }

    /// Issues a token for `sub`. `scope` lists scopes separated by spaces; `expires` is in seconds since 1970.
    ///
    /// # Errors
    /// Fails if the token cannot be signed.
    pub fn token(&self, sub: &str, scope: &str, expires: i64) -> Result<String, String> {
        self.sign(&json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": sub, "scope": scope, "exp": expires }))
    }

    /// Issues a token with any claims.
    ///
    /// # Errors
    /// Fails if the token cannot be signed.
    pub fn sign(&self, claims: &Value) -> Result<String, String> {
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &self.signing_key).map_err(|error| error.to_string())
    }

    /// Verifies the token of a request and returns its claims, all as text, as API Gateway passes them to a function.
    ///
    /// A request without a token gets the claims of an operator with all scopes, unless tokens are required.
    ///
    /// # Errors
    /// Fails with [`AuthError`] if the token is missing, invalid, or has none of `scopes`.
    pub fn claims(&self, authorization: Option<&str>, scopes: &[String]) -> Result<Map<String, Value>, AuthError> {
        let Some(header) = authorization else {
            if self.required {
                return Err(AuthError::Unauthorized);
            }
            return Ok(texts(json!({ "sub": "operator", "scope": self.operator_scopes })));
        };
        let token = header.strip_prefix("Bearer ").unwrap_or(header);
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = 0;
        let token = decode::<Value>(token, &self.verification_key, &validation).map_err(|_| AuthError::Unauthorized)?;
        let issued_at = token.claims["iat"].as_u64();
        if issued_at.is_some_and(|issued_at| issued_at > get_current_timestamp()) {
            return Err(AuthError::Unauthorized);
        }
        let claims = texts(token.claims);
        let held = ["scope", "scp"].into_iter().filter_map(|name| claims.get(name)?.as_str());
        let held = held.map(|held| held.strip_prefix('[').and_then(|held| held.strip_suffix(']')).unwrap_or(held));
        let mut held = held.flat_map(|held| held.split(' '));
        let has_one = scopes.is_empty() || held.any(|held| scopes.iter().any(|scope| scope == held));
        if has_one { Ok(claims) } else { Err(AuthError::Forbidden) }
    }
}

/// Converts claims as API Gateway does: each to text, and a list to `[a b]`.
fn texts(claims: Value) -> Map<String, Value> {
    fn text(value: Value) -> String {
        match value {
            Value::String(text) => text,
            Value::Array(values) => format!("[{}]", values.into_iter().map(text).collect::<Vec<_>>().join(" ")),
            other => other.to_string(),
        }
    }
    let Value::Object(claims) = claims else { return Map::new() };
    claims.into_iter().map(|(name, value)| (name, Value::String(text(value)))).collect()
}
