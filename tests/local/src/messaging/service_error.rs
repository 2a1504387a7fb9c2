//! Error responses of the services.

use serde_json::{Value, json};

/// An error response of a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    /// The HTTP status.
    pub status: u16,
    /// The code by which the SDK recognises the error, for example `ResourceNotFoundException`. SQS has the codes of its
    /// former protocol.
    pub code: &'static str,
    pub message: String,
}

impl ServiceError {
    /// An error with status 400.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, code, message: message.into() }
    }

    /// A parameter that EventBridge or EventBridge Scheduler rejects.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// The body of the response, in the form of all JSON protocols.
    pub fn body(&self) -> Value {
        json!({ "__type": self.code, "message": self.message, "Message": self.message })
    }
}
