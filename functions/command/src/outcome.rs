//! What became of a command, as an answer.

use app::{Measurements, Problem, etag::etag, json};
use axum::response::Response;
use cqrs::Version;
use cqrs_dynamodb::{CommandError, Executed};
use http::{HeaderName, HeaderValue, StatusCode, header};
use orders::{Order, OrderRejection, order::OrderId};
use serde::Serialize;

use crate::context::CommandContext;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The answer to a command that was carried out.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Accepted {
    /// Which order.
    order_id: OrderId,
    /// Always `accepted`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^accepted$"))]
    status: &'static str,
    /// The order's version with this command.
    #[cfg_attr(feature = "openapi", schema(value_type = u64, minimum = 1))]
    version: Version,
}

/// The answer to PlaceOrder: 201 and where the order is.
pub(crate) fn placed(
    context: &CommandContext,
    order_id: OrderId,
    outcome: Result<Executed, CommandError<Order>>,
) -> Result<Response, Problem> {
    let mut response = answer(StatusCode::CREATED, context, order_id, outcome)?;
    if let Ok(location) = HeaderValue::from_str(&format!("/orders/{order_id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The answer to the other commands: 200.
pub(crate) fn changed(
    context: &CommandContext,
    order_id: OrderId,
    outcome: Result<Executed, CommandError<Order>>,
) -> Result<Response, Problem> {
    answer(StatusCode::OK, context, order_id, outcome)
}

fn answer(
    status: StatusCode,
    context: &CommandContext,
    order_id: OrderId,
    outcome: Result<Executed, CommandError<Order>>,
) -> Result<Response, Problem> {
    // Without a key there is nothing to repeat: what was found is this request's own write, its answer lost.
    let repeatable = context.headers.key.is_some();
    let outcome = outcome.map(|done| Executed { replayed: done.replayed && repeatable, ..done }).map_err(problem);
    context.app.metrics.emit(context.app.dynamo.environment.now(), measured(&outcome, context.events.conflicts()));
    let Executed { version, replayed } = outcome?;
    let mut response = json(status, &Accepted { order_id, status: "accepted", version })?;
    response.headers_mut().insert(header::ETAG, etag(version));
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// What operators count of it. A reason is the type of a problem, of which there are few.
fn measured(outcome: &Result<Executed, Problem>, conflicts: usize) -> Measurements {
    let measured = Measurements::default().count("Conflicts", conflicts);
    match outcome {
        Ok(Executed { replayed: true, .. }) => measured.count("CommandsReplayed", 1),
        Ok(Executed { replayed: false, .. }) => measured.count("CommandsAccepted", 1),
        Err(problem) if problem.kind() == "outcome-unknown" => measured.count("OutcomeUnknown", 1),
        Err(problem) if problem.status().is_client_error() => {
            measured.one_of("CommandsRejected", "Reason", problem.kind())
        }
        Err(_) => measured,
    }
}

pub(crate) fn problem(error: CommandError<Order>) -> Problem {
    match error {
        CommandError::NotFound => Problem::not_found(),
        CommandError::Rejected { rejection, state, version } => {
            let problem = Problem::new(
                StatusCode::CONFLICT,
                rejection_type(rejection),
                "The order does not allow this",
                format!("It cannot be done: {rejection}."),
            );
            problem.with("order_status", state.status().map(|status| status.as_str())).with("version", version.get())
        }
        CommandError::VersionMismatch { version } => Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "version-mismatch",
            "The order has moved on",
            "The order is not at the version in If-Match any more. Look at it and decide again.",
        )
        .with("version", version.get()),
        CommandError::IdempotencyKeyReused => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "The key belongs to another command",
            "This Idempotency-Key was used for another command. Take a new key.",
        ),
        CommandError::Contended => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "contended",
            "The order is being changed by many at once",
            "Nothing was changed. Try again after the time in Retry-After.",
        ),
        CommandError::Store(failure) => failure.into(),
    }
}

fn rejection_type(rejection: OrderRejection) -> &'static str {
    match rejection {
        OrderRejection::AlreadyPlaced => "already-placed",
        OrderRejection::NotPlaced => "not-placed",
        OrderRejection::NotShipped => "not-shipped",
        OrderRejection::AlreadyShipped => "already-shipped",
        OrderRejection::AlreadyDelivered => "already-delivered",
        OrderRejection::AlreadyCancelled => "already-cancelled",
    }
}
