//! The clock of the stack: `GET /clock` shows it, and `POST /clock` winds it forward.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, response::Response, routing::get};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Gateway, document, message};

pub(super) fn router() -> Router<Arc<Gateway>> {
    Router::new().route("/clock", get(show).post(wind))
}

/// `GET /clock`
async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let ahead = gateway.clock.as_ref().map(|clock| clock.ahead()).unwrap_or_default();
    let clock = json!({ "now": gateway.environment.now().to_string(), "seconds_ahead": ahead.as_secs() });
    document(StatusCode::OK, &clock)
}

/// `POST /clock` with `{"forward_ms"}`. An invocation that is running may then be past its deadline.
async fn wind(State(gateway): State<Arc<Gateway>>, body: Bytes) -> Response {
    let requested: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(forward) = requested["forward_ms"].as_u64().map(Duration::from_millis) else {
        return message(StatusCode::BAD_REQUEST, "forward_ms must be a number of milliseconds, and not negative");
    };
    let Some(clock) = &gateway.clock else {
        let reason = "the clock of this system cannot be wound; its schedules may be in an emulator";
        return message(StatusCode::NOT_FOUND, reason);
    };
    match gateway.messaging.wind(clock, forward) {
        Ok(()) => show(State(Arc::clone(&gateway))).await,
        Err(error) => message(StatusCode::BAD_REQUEST, &error),
    }
}
