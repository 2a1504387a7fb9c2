//! Converts the outcome of a command to a response.

use app::{Measurements, Problem, etag::etag, json};
use axum::response::Response;
use cqrs::Version;
use cqrs_dynamodb::{CommandError, Executed};
use http::{HeaderName, HeaderValue, StatusCode, header};
use orders::{Order, OrderRejection, order::OrderId};
use serde::Serialize;

use crate::context::CommandContext;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The response to an executed command.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Accepted {
    /// The id of the order.
    order_id: OrderId,
    /// Always `accepted`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^accepted$"))]
    status: &'static str,
    /// The version of the order after this command.
    #[cfg_attr(feature = "openapi", schema(value_type = u64, minimum = 1))]
    version: Version,
}

/// Responds to PlaceOrder: 201 with `Location`.
pub(crate) fn placed(
    context: &CommandContext,
    order_id: OrderId,
    outcome: Result<Executed, CommandError<Order>>,
) -> Result<Response, Problem> {
    let mut response = respond(StatusCode::CREATED, context, order_id, outcome)?;
    if let Ok(location) = HeaderValue::from_str(&format!("/orders/{order_id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Responds to the other commands: 200.
pub(crate) fn changed(
    context: &CommandContext,
    order_id: OrderId,
    outcome: Result<Executed, CommandError<Order>>,
) -> Result<Response, Problem> {
    respond(StatusCode::OK, context, order_id, outcome)
}

fn respond(
    status: StatusCode,
    context: &CommandContext,
    order_id: OrderId,
    outcome: Result<Executed, CommandError<Order>>,
) -> Result<Response, Problem> {
    // Without a key, a client cannot repeat a command. A replay then means that the SDK retried its own write.
    let has_key = context.headers.key.is_some();
    let outcome =
        outcome.map(|executed| Executed { replayed: executed.replayed && has_key, ..executed }).map_err(problem);
    context.app.metrics.emit(context.app.dynamo.environment.now(), measurements(&outcome, context.events.conflicts()));
    let Executed { version, replayed } = outcome?;
    let mut response = json(status, &Accepted { order_id, status: "accepted", version })?;
    response.headers_mut().insert(header::ETAG, etag(version));
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Counts the outcome. The dimension `Reason` is the type of a problem, so it has few values.
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

pub(crate) fn problem(error: CommandError<Order>) -> Problem {
    match error {
        CommandError::NotFound => Problem::not_found(),
        CommandError::Rejected { rejection, state, version } => {
            let problem = Problem::new(
                StatusCode::CONFLICT,
                rejection_type(rejection),
                "Command rejected",
                format!("The command was rejected: {rejection}."),
            );
            problem.with("order_status", state.status().map(|status| status.as_str())).with("version", version.get())
        }
        CommandError::VersionMismatch { version } => Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "version-mismatch",
            "Version mismatch",
            "The order does not have the version in If-Match. Read the order again before a retry.",
        )
        .with("version", version.get()),
        CommandError::IdempotencyKeyReused => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "Idempotency key reused",
            "This Idempotency-Key was used for another command. Use a new key.",
        ),
        CommandError::Contended => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "contended",
            "Too many concurrent changes",
            "Other requests are changing the order. Nothing was written. Retry after the time in Retry-After.",
        ),
        CommandError::Store(error) => error.into(),
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
