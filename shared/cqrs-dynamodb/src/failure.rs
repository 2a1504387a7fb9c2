//! What can go wrong with the tables, sorted by what is to be done about it.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use cqrs::{StreamId, Version};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the tables could not do what they were asked. Never a conflict and never a rejection: those are outcomes.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Throttled, out of reach or out of time. Trying again later helps. A write was refused at its last attempt; that
    /// none of the attempts before had landed cannot be told, so a command is tried again with the same id.
    #[error("the tables are not available")]
    Unavailable(#[source] Source),
    /// A write was sent and no answer came: it may have landed. Trying again with the same command id tells.
    #[error("the outcome of a write is unknown")]
    OutcomeUnknown(#[source] Source),
    /// The commit or view is larger than an item may be; nothing was written.
    #[error("an item of {bytes} bytes is too large")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// What is stored in this stream cannot be trusted or understood; nothing is decided on it.
    #[error("stream {stream} is corrupt at version {version}: {reason}")]
    Corrupt {
        /// Which stream.
        stream: StreamId,
        /// The version that is wrong, or missing.
        version: Version,
        /// What is wrong with it, without its data.
        reason: String,
    },
    /// A view was written by a newer version of this code; it is left alone.
    #[error("a view of {projection} has schema {found}, newer than {known}")]
    NewerSchema {
        /// Which projection.
        projection: &'static str,
        /// The schema found.
        found: u32,
        /// The newest schema that this code knows.
        known: u32,
    },
    /// The request was refused for a reason that trying again does not mend: permissions, a missing table, a defect.
    #[error("the tables refused a request")]
    Refused(#[source] Source),
}

impl Failure {
    /// The failure behind an SDK error of a call that writes.
    pub(crate) fn of_write<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match cause(&error) {
            Cause::Throttled => Self::Unavailable(error.into()),
            Cause::NoAnswer => Self::OutcomeUnknown(error.into()),
            Cause::Refused => Self::Refused(error.into()),
        }
    }

    /// The failure behind an SDK error of a call that reads: there is no outcome to be unknown.
    pub(crate) fn of_read<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match cause(&error) {
            Cause::Throttled | Cause::NoAnswer => Self::Unavailable(error.into()),
            Cause::Refused => Self::Refused(error.into()),
        }
    }

    /// Whether the same call may well succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::OutcomeUnknown(_) => true,
            Self::TooLarge { .. } | Self::Corrupt { .. } | Self::NewerSchema { .. } | Self::Refused(_) => false,
        }
    }
}

enum Cause {
    Throttled,
    NoAnswer,
    Refused,
}

/// Sorts an SDK error, after the SDK's own attempts, by the codes of the DynamoDB Developer Guide, "Error handling".
fn cause<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Cause {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Cause::NoAnswer,
        // "Other" with a kind is what may pass, such as a connection that was closed before the answer.
        SdkError::DispatchFailure(failure)
            if failure.is_timeout() || failure.is_io() || failure.as_other().is_some() =>
        {
            Cause::NoAnswer
        }
        SdkError::ServiceError(answer) => match answer.err().code() {
            Some(
                "ThrottlingException"
                | "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "TransactionConflictException"
                // Of a read: it met a transaction that writes. Those that write look at the reasons themselves.
                | "TransactionCanceledException"
                | "TransactionInProgressException",
            ) => Cause::Throttled,
            _ if answer.raw().status().is_server_error() => Cause::NoAnswer,
            _ => Cause::Refused,
        },
        // Construction and the other dispatch failures: no credentials, a bad endpoint. `SdkError` is non-exhaustive.
        _ => Cause::Refused,
    }
}
