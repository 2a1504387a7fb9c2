//! What is answered when something is wrong: problem details (RFC 9457).

use std::{collections::BTreeMap, error::Error};

use axum::response::{IntoResponse, Response};
use cqrs_dynamodb::StoreError;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

/// An answer of 4xx or 5xx. It says what the caller can do, and nothing of the inside.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Which problem it is: stable, for programs.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The same, for people.
    pub(crate) title: &'static str,
    /// The status of the answer.
    #[serde(serialize_with = "as_number")]
    #[cfg_attr(feature = "openapi", schema(value_type = u16, minimum = 400, maximum = 599))]
    pub(crate) status: StatusCode,
    /// What can be done about it.
    detail: String,
    /// Which fields are wrong, if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(flatten)]
    more: BTreeMap<&'static str, Value>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// Which field, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What it must be. The value is not repeated.
    pub detail: String,
}

impl Problem {
    /// A problem of this type, for which `detail` tells what to do.
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, title, status, detail: detail.into(), errors: Vec::new(), more: BTreeMap::new() }
    }

    /// 400: the request cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-request", "The request cannot be read", detail)
    }

    /// 401: nobody is known to ask.
    pub fn unauthorized() -> Self {
        let detail = "The request came without the claims of a verified token.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Who asks is not known", detail)
    }

    /// 403: the caller may not ask for this.
    pub fn forbidden() -> Self {
        let detail = "The token does not have the scope that this needs.";
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This is not permitted", detail)
    }

    /// 404: there is nothing here for this caller. What is not there and what is somebody else's answer the same.
    pub fn not_found() -> Self {
        let detail = "There is no such order, or it is not one of yours.";
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 404: the order has not come to that version.
    pub fn version_not_found() -> Self {
        let detail = "The order has not come to the version in min_version.";
        Self::new(StatusCode::NOT_FOUND, "version-not-found", "There is no such version yet", detail)
    }

    /// 422: the request can be read, and these fields are wrong.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = "The request has fields that are not as they must be; see errors.";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { errors, ..Self::new(status, "invalid-request", "The request is not valid", detail) }
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its type: what programs tell problems apart by.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// 503: the tables are throttled, or do not answer.
    pub fn unavailable() -> Self {
        let detail = "Try again after the time in Retry-After; a command with the same Idempotency-Key.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The service is busy", detail)
    }

    /// 503: what was written since cannot be shown, until the operators have mended it.
    pub fn view_parked() -> Self {
        let detail = "The order was changed in a way that cannot be shown yet; its operators have been told. Without \
                      min_version it is shown as it was before.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "view-parked", "The order cannot be shown at that version", detail)
    }

    /// 503: the command may have been carried out, or not.
    pub fn outcome_unknown() -> Self {
        let detail = "The command may have been carried out. Send it again with the same Idempotency-Key.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", "The outcome is not known", detail)
    }

    /// 500: the service has failed, and no repeat mends it.
    pub fn internal() -> Self {
        let detail = "The service has failed, and its operators have been told.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The service has failed", detail)
    }

    /// The same, with one more member.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.more.insert(member, value.into());
        self
    }
}

/// Tells the caller what a failure means for them, and the log, once, why it came to it.
impl From<StoreError> for Problem {
    fn from(failure: StoreError) -> Self {
        let causes = causes(&failure);
        match failure {
            StoreError::Unavailable(_) => {
                tracing::warn!(causes, "{failure}");
                Self::unavailable()
            }
            StoreError::OutcomeUnknown(_) => {
                tracing::error!(causes, "{failure}");
                Self::outcome_unknown()
            }
            StoreError::TooLarge { .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The command is too large",
                "What the command would record takes more than 350 KB.",
            ),
            StoreError::Corrupt { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::Denied(_)
            | StoreError::Bug(_) => {
                tracing::error!(causes, "{failure}");
                Self::internal()
            }
        }
    }
}

/// The chain of sources of an error, outermost first, for a line in the log.
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

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_the_caller_nothing_of_the_inside() {
        let inside = || Box::<dyn Error + Send + Sync>::from("arn:aws:dynamodb:table/secret");
        for failure in
            [StoreError::Unavailable(inside()), StoreError::OutcomeUnknown(inside()), StoreError::Bug(inside())]
        {
            let shown = serde_json::to_string(&Problem::from(failure)).unwrap();
            assert!(!shown.contains("arn"), "{shown}");
        }
    }

    #[test]
    fn members_beside_the_standard_ones_are_at_top_level() {
        let shown = serde_json::to_value(Problem::not_found().with("version", 3)).unwrap();
        assert_eq!(
            (&shown["status"], &shown["version"], &shown["type"]),
            (&404.into(), &3.into(), &"not-found".into())
        );
    }
}
