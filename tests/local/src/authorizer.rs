//! A JWT authorizer of an HTTP API, and an issuer of its own for it to trust.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Map, Value, json};

/// Who the local issuer says it is.
const ISSUER: &str = "https://local.invalid";
/// What its key is called.
const KEY_ID: &str = "local";
/// Whom its tokens are for.
const AUDIENCE: &str = "orders";
/// All scopes there are.
pub const OPERATOR_SCOPES: &str = "orders/write orders/read orders/fulfil orders/admin";

/// Issues tokens and verification_key them.
pub struct Authorizer {
    signing_key: EncodingKey,
    verification_key: DecodingKey,
    public: Vec<u8>,
    required: bool,
}

/// Why a request does not pass: what API Gateway answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
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
        Self::with_key(key.as_ref())
    }

    /// An issuer with the key that is kept in this file, which is made if there is none: its tokens outlive it.
    ///
    /// # Errors
    /// If the file is not one of ours, or cannot be written.
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
        Ok(Self { signing_key, verification_key, public, required: false })
    }

    /// The same, where no request passes without a token.
    #[must_use]
    pub fn required(self, required: bool) -> Self {
        Self { required, ..self }
    }

    /// The public key, as a JSON Web Key Set (RFC 7517, and RFC 8037 for its kind).
    pub fn key_set(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(&self.public);
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": KEY_ID, "x": x }] })
    }

    /// A token for `sub` with these scopes, separated by spaces, that expires at `expires` in seconds since 1970.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn token(&self, sub: &str, scope: &str, expires: i64) -> Result<String, String> {
        let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": sub, "scope": scope, "exp": expires });
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &self.signing_key).map_err(|error| error.to_string())
    }

    /// The claims of a request that passes, all as text as API Gateway hands them on. Without a token it is an operator
    /// with all scopes, unless tokens are required.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn claims(&self, authorization: Option<&str>, scopes: &[String]) -> Result<Map<String, Value>, AuthError> {
        let Some(header) = authorization else {
            if self.required {
                return Err(AuthError::Unauthorized);
            }
            return Ok(texts(json!({ "sub": "operator", "scope": OPERATOR_SCOPES })));
        };
        let token = header.strip_prefix("Bearer ").unwrap_or(header);
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.leeway = 0;
        let token = decode::<Value>(token, &self.verification_key, &validation).map_err(|_| AuthError::Unauthorized)?;
        let claims = texts(token.claims);
        let scope = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
        let has_one = scopes.is_empty() || scope.split(' ').any(|held| scopes.iter().any(|scope| scope == held));
        if has_one { Ok(claims) } else { Err(AuthError::Forbidden) }
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
