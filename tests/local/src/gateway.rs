//! The HTTP API: routes of the template, events of payload format 2.0, and API Gateway's own responses.

mod clock;
mod cors;
mod docs;
mod event;
mod queues;

use std::{collections::BTreeMap, error::Error, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cqrs_dynamodb::Environment;
use http::{HeaderValue, StatusCode, header, request::Parts};
use http_body_util::LengthLimitError;
use percent_encoding::percent_decode_str;
use serde_json::json;

pub use self::event::ApiEvent;
use crate::{
    Deployment,
    authorizer::{AuthError, Authorizer},
    clock::StackClock,
    functions::{Function, FunctionError},
    messaging::{Messaging, emulator::MessagingEmulator},
    template::{CorsDefinition, RouteDefinition},
};

/// The most bytes of a request body (API Gateway, "Quotas for HTTP APIs").
const MAX_PAYLOAD: usize = 10 * 1024 * 1024;
/// The most bytes of a path that matches a route.
const MAX_PATH: usize = 2048;

/// Names and values, in the order of the path.
type PathParameters = Vec<(String, String)>;

pub struct Gateway {
    pub routes: Vec<(RouteDefinition, Function)>,
    /// The cross-origin requests that the API allows.
    pub cors: Option<CorsDefinition>,
    pub deployment: Arc<Deployment>,
    pub authorizer: Arc<Authorizer>,
    pub environment: Environment,
    /// The URL of DynamoDB, for `GET /health`.
    pub dynamodb: String,
    /// For `/queues` and `/aws`.
    pub messaging: Messaging,
    /// The names of the queues, by logical id.
    pub queues: BTreeMap<String, String>,
    /// It has the queues instead of `messaging`, if there is one.
    pub emulator: Option<MessagingEmulator>,
    /// For `/clock`.
    pub clock: Option<StackClock>,
}

impl Gateway {
    /// The API. Beside it are `GET /health`, the token issuer, the API description, the queues and the clock.
    pub fn into_router(self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/.well-known/jwks.json", get(key_set))
            .route("/token", post(token))
            .merge(docs::router())
            .merge(queues::router())
            .merge(clock::router())
            .fallback(answer)
            .with_state(Arc::new(self))
    }

    /// Matches a request with a route.
    fn find(&self, method: &str, path: &str) -> Option<(&RouteDefinition, &Function, PathParameters)> {
        self.routes
            .iter()
            .filter(|(route, _)| route.method == method && path.len() <= MAX_PATH)
            .find_map(|(route, function)| Some((route, function, parameters(&route.path, path)?)))
    }
}

/// `GET /health`
async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
    document(StatusCode::OK, &json!({ "message": "ok", "dynamodb": gateway.dynamodb }))
}

/// `GET /.well-known/jwks.json`
async fn key_set(State(gateway): State<Arc<Gateway>>) -> Response {
    document(StatusCode::OK, &gateway.authorizer.key_set())
}

/// `POST /token` with `{"sub", "scope", "expires_in"}`. Issues a token to every caller: this is a development issuer.
async fn token(State(gateway): State<Arc<Gateway>>, body: Bytes) -> Response {
    let requested: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| requested[name].as_str();
    let (Some(sub), Some(scope)) = (text("sub"), text("scope")) else {
        return message(StatusCode::BAD_REQUEST, "sub and scope are required");
    };
    let expires_in = requested["expires_in"].as_i64().unwrap_or(3600);
    // The authorizer follows the clock of the machine, which nobody winds.
    let expires = Environment::system().now().as_second().saturating_add(expires_in);
    match gateway.authorizer.token(sub, scope, expires) {
        Ok(token) => document(StatusCode::OK, &json!({ "access_token": token, "expires_in": expires_in })),
        Err(error) => message(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

async fn answer(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(response) = gateway.cors.as_ref().and_then(|cors| cors::preflight(cors, &parts)) {
        return response;
    }
    let mut response = match to_bytes(body, MAX_PAYLOAD).await {
        Ok(body) => gateway.answer(&parts, &body).await,
        Err(error) if error.source().is_some_and(|error| error.is::<LengthLimitError>()) => {
            message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
        }
        Err(_) => message(StatusCode::BAD_REQUEST, "Bad Request"),
    };
    if let Some(cors) = &gateway.cors {
        cors::add_headers(cors, parts.headers.get(header::ORIGIN), &mut response);
    }
    response
}

impl Gateway {
    async fn answer(&self, parts: &Parts, body: &Bytes) -> Response {
        let Some((route, function, parameters)) = self.find(parts.method.as_str(), parts.uri.path()) else {
            return message(StatusCode::NOT_FOUND, "Not Found");
        };
        let authorization = parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let claims = match self.authorizer.claims(authorization, &route.scopes) {
            Ok(claims) => claims,
            Err(AuthError::Unauthorized) => {
                let mut response = message(StatusCode::UNAUTHORIZED, "Unauthorized");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                return response;
            }
            Err(AuthError::Forbidden) => return message(StatusCode::FORBIDDEN, "Forbidden"),
        };
        let now = self.environment.now();
        let event = ApiEvent {
            method: parts.method.as_str(),
            route: &route.path,
            path: &decoded(parts.uri.path()),
            query: parts.uri.query().unwrap_or_default(),
            headers: event::headers(&parts.headers),
            path_parameters: &parameters,
            authorizer: json!({ "jwt": { "claims": claims, "scopes": route.scopes } }),
            body,
            now,
        };
        match function.invoke(event.to_json(), now.as_millisecond()).await {
            Ok(answer) => event::response(&answer)
                .unwrap_or_else(|| message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")),
            Err(error) => {
                tracing::error!("{} {}: {error}", route.method, route.path);
                match error {
                    FunctionError::Failed(_) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
                    FunctionError::TimedOut(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
                }
            }
        }
    }
}

/// A response of API Gateway itself.
fn message(status: StatusCode, message: &str) -> Response {
    document(status, &json!({ "message": message }))
}

fn document(status: StatusCode, document: &serde_json::Value) -> Response {
    let body = Body::from(document.to_string());
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Decodes a path or a part of it, as API Gateway does before it passes it on.
fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// The values in `path` of the parameters in `pattern`, decoded. `None` if the path does not match.
fn parameters(pattern: &str, path: &str) -> Option<PathParameters> {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    if pattern.len() != path.len() {
        return None;
    }
    let mut parameters = Vec::new();
    for (wanted, given) in pattern.into_iter().zip(path) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !given.is_empty() => parameters.push((name.to_owned(), decoded(given))),
            Some(_) => return None,
            None if wanted != given => return None,
            None => {}
        }
    }
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_segment_by_segment() {
        let matches = |path| parameters("/loans/{loan_id}/renew", path);
        assert_eq!(matches("/loans/42/renew"), Some(vec![("loan_id".to_owned(), "42".to_owned())]));
        assert_eq!(matches("/loans/a%2541%2Fb/renew"), Some(vec![("loan_id".to_owned(), "a%41/b".to_owned())]));
        for other in ["/loans/42/renew/", "/loans//renew", "/loans/42", "/Loans/42/renew", "/loans/4/2/renew"] {
            assert_eq!(matches(other), None, "{other}");
        }
    }
}
