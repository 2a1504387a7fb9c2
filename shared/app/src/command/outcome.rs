//! Converts the outcome of a command to a response.

use axum::response::Response;
use cqrs::{Event, Version};
use cqrs_dynamodb::{CommandError, Executed};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use super::{CommandContext, RemoteAggregate};
use crate::{Measurements, Problem, etag::EntityTag, json};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Responds with `status`, the key of the instance and its version after the command.
pub(crate) fn respond<A: RemoteAggregate>(
    status: StatusCode,
    context: &CommandContext,
    key: &str,
    outcome: Result<Executed, Problem>,
) -> Result<Response, Problem> {
    // Without a key, a client cannot repeat a command. A replay then means that the SDK retried its own write.
    let has_key = context.headers.options.key.is_some();
    let outcome = outcome.map(|executed| Executed { replayed: executed.replayed && has_key, ..executed });
    context.app.metrics.emit(context.app.dynamo.environment.now(), measurements(&outcome, context.events.conflicts()));
    let Executed { version, replayed } = outcome?;
    let document = json!({ A::Event::key_name(): key, "status": "accepted", "version": version });
    let mut response = json(status, &document)?;
    response.headers_mut().insert(header::ETAG, EntityTag::of_version(version).header());
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

pub(crate) fn add_location(response: &mut Response, path: &str) {
    if let Ok(location) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, location);
    }
}

/// Counts the outcome. The dimension `Reason` is the name of a problem, so it has few values.
fn measurements(outcome: &Result<Executed, Problem>, conflicts: usize) -> Measurements {
    let measurements = Measurements::default().count("Conflicts", conflicts);
    match outcome {
        Ok(Executed { replayed: true, .. }) => measurements.count("CommandsReplayed", 1),
        Ok(Executed { replayed: false, .. }) => measurements.count("CommandsAccepted", 1),
        Err(problem) if problem.kind() == "outcome-unknown" => measurements.count("OutcomeUnknown", 1),
        Err(problem) if problem.status().is_client_error() => {
            measurements.one_of("CommandsRejected", "Reason", problem.kind())
        }
        Err(_) => measurements,
    }
}

pub(crate) fn problem<A: RemoteAggregate>(error: CommandError<A>) -> Problem {
    let noun = A::Event::noun();
    match error {
        CommandError::NotFound => Problem::not_found(&noun),
        CommandError::Rejected { rejection, state, version } => rejected(rejection, &state, version),
        CommandError::VersionMismatch { version } => Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "version-mismatch",
            "Version mismatch",
            format!("The {noun} does not have the expected version. Read the {noun} again before a retry."),
        )
        .with("version", version.get()),
        CommandError::IdempotencyKeyReused => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "Idempotency key reused",
            "This idempotency key was used for another command. Use a new key.",
        ),
        CommandError::Contended => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "contended",
            "Too many concurrent changes",
            format!(
                "Other requests are changing the {noun}. Nothing was written. Retry after the time in Retry-After."
            ),
        ),
        CommandError::Store(error) => error.into(),
    }
}

/// 409: a business rule rejected the command. Shows the facts about the state that the decision was made on.
pub(crate) fn rejected<A: RemoteAggregate>(rejection: A::Rejection, state: &A, version: Version) -> Problem {
    let detail = format!("The command was rejected: {rejection}.");
    let problem = Problem::new(StatusCode::CONFLICT, rejection.into(), "Command rejected", detail);
    let facts = state.facts().into_iter();
    facts.fold(problem, |problem, (name, value)| problem.with(name, value)).with("version", version.get())
}
