//! Errors of the event store, the views and the counters, one variant for each remedy.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use cqrs::{StreamId, Version};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// rustls's name for the error that a certificate's issuer is not among the trusted roots. The HTTP client reports this
/// error only as text.
pub const UNKNOWN_ISSUER: &str = "UnknownIssuer";

/// The TLS handshake failed, because the issuer of the server's certificate is not among the roots that the client
/// trusts. No request was sent.
#[derive(Debug, thiserror::Error)]
#[error(
    "the certificate of the endpoint has an issuer that is not among the trusted roots; see \
     docs/runbooks/tls-unknown-issuer.md"
)]
struct UnknownIssuer(#[source] BoxError);

/// An error of the event store, the views or the counters. Version conflicts and rejections are outcomes, not errors.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB throttled the call, did not respond to a read, or no time was left before the deadline. A later call
    /// may succeed.
    ///
    /// If the call was a write, an earlier attempt of the SDK may have written the item, although DynamoDB rejected the
    /// last attempt. A command must therefore be retried with the same command id.
    #[error("DynamoDB is unavailable")]
    Unavailable(#[source] BoxError),
    /// A write was sent and no response came, so the item may have been written. A retry with the same command id
    /// resolves this.
    #[error("the outcome of a write is unknown")]
    OutcomeUnknown(#[source] BoxError),
    /// The item exceeds the size limit. Nothing was written.
    #[error("an item of {bytes} bytes is too large")]
    TooLarge {
        /// The size of the item, as DynamoDB counts it.
        bytes: usize,
    },
    /// A stored commit is missing, malformed, or unknown to this code. No command is decided on this stream.
    #[error("stream {stream} is corrupt at version {version}: {reason}")]
    Corrupt {
        stream: StreamId,
        /// The version of the commit that is malformed or missing.
        version: Version,
        /// The defect, without any stored data.
        reason: String,
    },
    /// Newer code wrote this view. Older code does not overwrite it.
    #[error("a view of {projection} has schema version {found}, newer than {known}")]
    NewerSchema { projection: &'static str, found: u32, known: u32 },
    /// The bus did not take a public event. The position of the publisher does not move, so the event is sent again.
    #[error("a public event was not published")]
    NotPublished(#[source] BoxError),
    /// AWS denied the call (missing permissions, invalid credentials, or a table that does not exist), or the client
    /// does not trust the server's certificate. A retry does not help; the deployment must change.
    #[error("DynamoDB denied a request")]
    Denied(#[source] BoxError),
    /// Our code built an invalid request, or a type that cannot be stored. A retry does not help; the code must change.
    #[error("a request to DynamoDB is invalid")]
    Bug(#[source] BoxError),
}

impl StoreError {
    /// Wraps a defect of our code, such as a value that does not serialize.
    pub fn bug(error: impl Into<BoxError>) -> Self {
        Self::Bug(error.into())
    }

    /// Classifies the error of a call that writes.
    pub(crate) fn from_write<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match cause(&error) {
            Cause::Throttled => Self::Unavailable(error.into()),
            Cause::NoResponse => Self::OutcomeUnknown(error.into()),
            Cause::Denied => Self::Denied(error.into()),
            Cause::UnknownIssuer => Self::Denied(UnknownIssuer(error.into()).into()),
            Cause::Invalid => Self::Bug(error.into()),
        }
    }

    /// Classifies the error of a call that reads. A read without a response is unavailable, because it changes nothing.
    pub fn from_read<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match Self::from_write(error) {
            Self::OutcomeUnknown(error) => Self::Unavailable(error),
            other => other,
        }
    }

    /// Returns whether the same call may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::OutcomeUnknown(_) | Self::NotPublished(_) => true,
            Self::TooLarge { .. }
            | Self::Corrupt { .. }
            | Self::NewerSchema { .. }
            | Self::Denied(_)
            | Self::Bug(_) => false,
        }
    }
}

enum Cause {
    Throttled,
    NoResponse,
    Denied,
    /// The client does not trust the server's certificate.
    UnknownIssuer,
    Invalid,
}

/// Classifies an SDK error after the SDK's own attempts, by the codes of the DynamoDB Developer Guide, "Error handling
/// with DynamoDB".
fn cause<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E, HttpResponse>) -> Cause {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Cause::NoResponse,
        // This check precedes those of other connection failures, because nothing was sent and a retry does not help.
        SdkError::DispatchFailure(_) if sources(error).any(|source| source.to_string().contains(UNKNOWN_ISSUER)) => {
            Cause::UnknownIssuer
        }
        // The SDK reports a connection that closes before the response as "other" with a kind.
        SdkError::DispatchFailure(failure)
            if failure.is_timeout() || failure.is_io() || failure.as_other().is_some() =>
        {
            Cause::NoResponse
        }
        SdkError::ServiceError(response) => match response.err().code() {
            Some(
                "ThrottlingException"
                | "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "TransactionConflictException"
                // A read transaction conflicted with a write. Write transactions are classified by their reasons.
                | "TransactionCanceledException"
                | "TransactionInProgressException",
            ) => Cause::Throttled,
            Some("ValidationException" | "SerializationException") => Cause::Invalid,
            _ if response.raw().status().is_server_error() => Cause::NoResponse,
            _ => Cause::Denied,
        },
        // The remaining dispatch failures: no credentials, an invalid endpoint. `SdkError` is non-exhaustive.
        _ => Cause::Denied,
    }
}

fn sources(error: &dyn std::error::Error) -> impl Iterator<Item = &dyn std::error::Error> {
    std::iter::successors(error.source(), |error| error.source())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{
        error::{ConnectorError, ErrorMetadata},
        operation::put_item::PutItemError,
    };
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn service_error(status: u16, code: &str) -> SdkError<PutItemError, HttpResponse> {
        let status = StatusCode::try_from(status).unwrap();
        let error = PutItemError::generic(ErrorMetadata::builder().code(code).build());
        SdkError::service_error(error, HttpResponse::new(status, SdkBody::empty()))
    }

    #[test]
    fn a_throttled_call_is_unavailable_and_never_unknown() {
        for code in ["ThrottlingException", "ProvisionedThroughputExceededException", "TransactionConflictException"] {
            let error = StoreError::from_write(service_error(400, code));
            assert!(matches!(error, StoreError::Unavailable(_)), "{code}: {error:?}");
            assert!(error.is_transient(), "{code}");
        }
    }

    #[test]
    fn a_write_without_a_response_is_unknown_and_a_read_is_unavailable() {
        let timeout = || SdkError::<PutItemError, HttpResponse>::timeout_error("no response");
        assert!(matches!(StoreError::from_write(timeout()), StoreError::OutcomeUnknown(_)));
        assert!(matches!(StoreError::from_read(timeout()), StoreError::Unavailable(_)));
        let server_error = StoreError::from_write(service_error(500, "InternalServerError"));
        assert!(matches!(server_error, StoreError::OutcomeUnknown(_)));
    }

    #[test]
    fn an_unknown_issuer_is_a_denied_call_that_was_not_sent() {
        let failed = |cause: &'static str| {
            let error = ConnectorError::io(std::io::Error::other(cause).into());
            SdkError::<PutItemError, HttpResponse>::dispatch_failure(error)
        };
        let handshake = || failed("invalid peer certificate: UnknownIssuer");
        for error in [StoreError::from_write(handshake()), StoreError::from_read(handshake())] {
            let StoreError::Denied(cause) = &error else { panic!("{error:?}") };
            assert!(cause.to_string().contains("see docs/runbooks/tls-unknown-issuer.md"), "{cause}");
            assert!(!error.is_transient());
        }
        assert!(matches!(StoreError::from_write(failed("connection reset")), StoreError::OutcomeUnknown(_)));
    }

    #[test]
    fn denied_calls_and_invalid_requests_are_distinguished() {
        for code in ["AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException"] {
            let error = StoreError::from_write(service_error(400, code));
            assert!(matches!(error, StoreError::Denied(_)), "{code}: {error:?}");
            assert!(!error.is_transient(), "{code}");
        }
        let invalid = StoreError::from_read(service_error(400, "ValidationException"));
        assert!(matches!(invalid, StoreError::Bug(_)), "{invalid:?}");
    }
}
