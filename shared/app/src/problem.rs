//! Error responses: problem details (RFC 9457).

use std::{borrow::Cow, collections::BTreeMap, error::Error};

use axum::response::{IntoResponse, Response};
use cqrs_dynamodb::StoreError;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

/// The base of all problem types. The last segment of a type names its page in `docs/problems`.
///
/// `docs/adr/0019-problem-types-are-absolute.md` explains the choice. Clients compare types, so the base must not
/// change.
pub const TYPES: &str = "https://cqrs-on-lambda.example/docs/problems/";

/// An error response, as problem details (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The type of the problem: a stable, absolute URI that identifies it for programs. It need not resolve.
    #[serde(rename = "type", serialize_with = "as_uri")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uri"))]
    pub(crate) kind: &'static str,
    /// A short summary of the problem, for people.
    pub(crate) title: Cow<'static, str>,
    /// The HTTP status code.
    #[serde(serialize_with = "as_number")]
    #[cfg_attr(feature = "openapi", schema(value_type = u16, minimum = 400, maximum = 599))]
    pub(crate) status: StatusCode,
    /// An explanation of the problem and how to resolve it.
    detail: String,
    /// The invalid fields, if any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(flatten)]
    extensions: BTreeMap<&'static str, Value>,
}

/// An invalid field of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The rule that the value violates. The value itself is not repeated.
    pub detail: String,
}

impl Problem {
    /// Creates a problem. `kind` is the last segment of its type, such as `not-found`. `detail` explains it to the
    /// client and must not reveal internals.
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        title: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        let (title, detail) = (title.into(), detail.into());
        Self { kind, title, status, detail, errors: Vec::new(), extensions: BTreeMap::new() }
    }

    /// 400: the request is malformed.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-request", "Malformed request", detail)
    }

    /// 400: the cursor is damaged or belongs to another list.
    pub(crate) fn invalid_cursor() -> Self {
        Self::malformed("cursor must be the next_cursor of a page of this list.")
    }

    /// 401: the request has no authenticated caller.
    pub fn unauthorized() -> Self {
        let detail = "The request has no verified token with a sub claim.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Authentication is required", detail)
    }

    /// 403: the caller lacks a scope.
    pub fn forbidden() -> Self {
        let detail = "The caller does not have a scope that this operation requires.";
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Permission denied", detail)
    }

    /// 404: the resource does not exist, or the caller may not access it. One problem for both, so that a caller cannot
    /// find out which resources exist. `noun` is the domain's word for the resource.
    pub fn not_found(noun: &str) -> Self {
        let title = format!("{} not found", capitalized(noun));
        let detail = format!("The {noun} does not exist, or the caller may not access it.");
        Self::new(StatusCode::NOT_FOUND, "not-found", title, detail)
    }

    /// 404: the stream has not reached the requested version.
    pub fn version_not_found(noun: &str) -> Self {
        let detail = format!("The {noun} has not reached the version in min_version.");
        Self::new(StatusCode::NOT_FOUND, "version-not-found", "Version not found", detail)
    }

    /// 422: the request is well-formed, but these fields are invalid.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = "One or more fields are invalid; see errors.";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { errors, ..Self::new(status, "invalid-request", "Invalid request", detail) }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the name of the problem, the last segment of its type.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the explanation of the problem.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the invalid fields, if any.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Returns the extension members, such as `version`.
    pub fn extensions(&self) -> &BTreeMap<&'static str, Value> {
        &self.extensions
    }

    /// Returns the problem of a document that contains the invalid one in the field at `pointer`.
    #[must_use]
    pub fn within(mut self, pointer: &str) -> Self {
        for error in &mut self.errors {
            error.pointer.insert_str(0, pointer);
        }
        self
    }

    /// 503: DynamoDB throttles or does not respond.
    pub fn unavailable() -> Self {
        let detail = "The service is temporarily unavailable. Retry after the time in Retry-After; repeat a command \
                      with the same Idempotency-Key.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Service unavailable", detail)
    }

    /// 503: the stream cannot be folded to the requested version until the operators repair and redrive it.
    pub fn view_parked(noun: &str) -> Self {
        let title = format!("{} version unavailable", capitalized(noun));
        let detail = format!(
            "The latest changes of the {noun} cannot be displayed yet. The operators have been notified. Without \
             min_version and If-None-Match, the response has the last state that can be displayed, if there is one."
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "view-parked", title, detail)
    }

    /// 503: the command may or may not have been executed.
    pub fn outcome_unknown() -> Self {
        let detail = "The command may or may not have been executed. Retry with the same Idempotency-Key.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", "Outcome unknown", detail)
    }

    /// 500: the service failed, and a retry does not help.
    pub fn internal() -> Self {
        let detail = "The request failed because of an error in the service. The operators have been notified.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// Adds an extension member (RFC 9457, 3.2).
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.extensions.insert(member, value.into());
        self
    }
}

/// Converts a store error into the response for the client. Logs a failure once, with its causes.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let causes = causes(&error);
        match error {
            StoreError::Unavailable(_) => {
                tracing::warn!(causes, "{error}");
                Self::unavailable()
            }
            StoreError::OutcomeUnknown(_) => {
                tracing::error!(causes, "{error}");
                Self::outcome_unknown()
            }
            StoreError::TooLarge { .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "Command too large",
                "The events of the command exceed 350 KB.",
            ),
            StoreError::Corrupt { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::NotPublished(_)
            | StoreError::Denied(_)
            | StoreError::Bug(_) => {
                tracing::error!(causes, "{error}");
                Self::internal()
            }
        }
    }
}

/// Joins the messages of an error's sources, outermost first.
pub fn causes(error: &dyn Error) -> String {
    let mut chain = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        chain.push(cause.to_string());
        next = cause.source();
    }
    chain.join(": ")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Returns the type of a problem as an absolute URI.
pub fn type_uri(kind: &str) -> String {
    format!("{TYPES}{kind}")
}

fn as_uri<S: serde::Serializer>(kind: &'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&type_uri(kind))
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_error_reveals_no_internals_to_the_client() {
        let cause = || Box::<dyn Error + Send + Sync>::from("arn:aws:dynamodb:table/secret");
        for error in [StoreError::Unavailable(cause()), StoreError::OutcomeUnknown(cause()), StoreError::Bug(cause())] {
            let body = serde_json::to_string(&Problem::from(error)).unwrap();
            assert!(!body.contains("arn"), "{body}");
        }
    }

    #[test]
    fn extension_members_are_at_top_level() {
        let body = serde_json::to_value(Problem::not_found("loan").with("version", 3)).unwrap();
        assert_eq!((&body["status"], &body["version"]), (&404.into(), &3.into()));
    }

    #[test]
    fn the_type_is_absolute() {
        let body = serde_json::to_value(Problem::not_found("loan")).unwrap();
        assert_eq!(body["type"], "https://cqrs-on-lambda.example/docs/problems/not-found");
    }
}
