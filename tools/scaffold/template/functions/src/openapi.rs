//! The OpenAPI description of the routes. Bounds and fields come from the types.

use app::openapi::Operation;
use axum::http::StatusCode;
use domain::{«Camel», «Camel»Rejection, «View», Totals};
use serde_json::json;

use crate::command::OpenDocument;

/// Completes the description of the operation with this id.
pub fn describe(id: &str, operation: Operation) -> Operation {
    match id {
        "open«Camel»" => operation
            .summary("Open «a» «words»")
            .body::<OpenDocument>(json!({ "title": "The first" }))
            .creates::<«Camel»>("The «words» was opened.")
            .rejects::<«Camel»>(«Camel»Rejection::AlreadyOpened),
        "get«Camel»" => operation.summary("Get «a» «words»").reads_view::<«Camel», «View»>("The «words»."),
        "get«Camel»Events" => {
            operation.summary("Get the events of «a» «words»").reads_history::<«Camel»>("The events, oldest first.")
        }
        "getTotals" => {
            operation.summary("Get the totals").response::<Totals>(StatusCode::OK, "The totals of all «words»s.", &[])
        }
        _ => operation,
    }
}
