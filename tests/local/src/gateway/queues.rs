//! The queues, and the endpoint of EventBridge, SQS and EventBridge Scheduler for other processes.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::json;

use super::{Gateway, document, message};
use crate::{
    engine::interceptor::EngineCall,
    messaging::{queue::QueuedMessage, queues::url_of},
};

pub(super) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/queues", get(list))
        .route("/queues/{id}", get(show).post(send))
        .route("/aws", any(aws))
        .route("/aws/", any(aws))
        .route("/aws/{*path}", any(aws))
}

/// The parameters of a message to a FIFO queue.
#[derive(Debug, Deserialize)]
struct SendParameters {
    group: Option<String>,
    deduplication_id: Option<String>,
}

/// `GET /queues`
async fn list(State(gateway): State<Arc<Gateway>>) -> Response {
    if let Some(response) = elsewhere(&gateway) {
        return response;
    }
    let queue = |(id, name): (&String, &String)| {
        let counts = gateway.messaging.counts(name).unwrap_or_default();
        json!({ "id": id, "visible": counts.visible, "in_flight": counts.in_flight, "delayed": counts.delayed })
    };
    document(StatusCode::OK, &json!({ "queues": gateway.queues.iter().map(queue).collect::<Vec<_>>() }))
}

/// `GET /queues/{id}`: the messages, which are not received by it.
async fn show(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    if let Some(response) = elsewhere(&gateway) {
        return response;
    }
    let Some(name) = gateway.queues.get(&id) else { return unknown(&gateway, &id) };
    let message = |message: QueuedMessage| {
        json!({
            "id": message.id.to_string(),
            "sent_at": message.sent_at.to_string(),
            "receives": message.receives,
            "body": message.body,
            "attributes": message.attributes,
        })
    };
    let messages: Vec<_> = gateway.messaging.messages(name).into_iter().map(message).collect();
    document(StatusCode::OK, &json!({ "messages": messages }))
}

/// `POST /queues/{id}`: sends the body as a message.
async fn send(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    Query(parameters): Query<SendParameters>,
    body: Bytes,
) -> Response {
    if let Some(response) = elsewhere(&gateway) {
        return response;
    }
    let Some(name) = gateway.queues.get(&id) else { return unknown(&gateway, &id) };
    let Ok(body) = String::from_utf8(body.into()) else {
        return message(StatusCode::BAD_REQUEST, "a message must be UTF-8");
    };
    let mut request = json!({ "QueueUrl": url_of(name), "MessageBody": body });
    let parameters = [("MessageGroupId", parameters.group), ("MessageDeduplicationId", parameters.deduplication_id)];
    for (name, value) in parameters {
        if let Some(value) = value {
            request[name] = json!(value);
        }
    }
    match gateway.messaging.execute(&EngineCall { operation: "SendMessage".to_owned(), body: request }) {
        Ok(sent) => document(StatusCode::OK, &json!({ "id": sent["MessageId"] })),
        Err(error) => message(status(error.status), &error.message),
    }
}

/// `/aws` and everything below it: the APIs of the services, as the AWS CLI and the SDKs call them.
async fn aws(
    State(gateway): State<Arc<Gateway>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(response) = elsewhere(&gateway) {
        return response;
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let call = EngineCall::parse(method.as_str(), &uri.to_string(), target, &body);
    let (status, body) = match gateway.messaging.execute(&call) {
        Ok(answer) => (StatusCode::OK, answer),
        Err(error) => (status(error.status), error.body()),
    };
    let content = if target.is_some() { "application/x-amz-json-1.0" } else { "application/json" };
    (status, [(header::CONTENT_TYPE, content)], Body::from(body.to_string())).into_response()
}

/// The response if the queues are not in this process.
fn elsewhere(gateway: &Gateway) -> Option<Response> {
    gateway.emulator.as_ref()?;
    Some(message(
        StatusCode::NOT_FOUND,
        "the queues of this system are in the emulator that AWS_ENDPOINT_URL_SQS names",
    ))
}

fn unknown(gateway: &Gateway, id: &str) -> Response {
    let known = gateway.queues.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    message(StatusCode::NOT_FOUND, &format!("the system has no queue {id}; it has: {known}"))
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
