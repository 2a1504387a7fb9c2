//! Intercepts calls between the SDKs and an engine, to observe them and to inject faults.

mod failed_entry;

use std::{fmt, sync::Arc};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::{HttpError, StatusCode},
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use serde_json::{Map, Value, json};

use self::failed_entry::FailedEntry;
use crate::messaging::{event_bus::RoutedMessage, scheduler_protocol};

/// Observes and changes the calls between the SDKs and an engine.
pub trait Interceptor: Send + Sync {
    /// Runs before a call. May change the request, and returns the fault to inject.
    fn before(&self, call: &mut EngineCall) -> Fault {
        let _ = call;
        Fault::None
    }

    /// Runs after a call that the engine answered with success. May change the response.
    fn after(&self, call: &EngineCall, response: &mut Value) {
        let _ = (call, response);
    }

    /// Runs before a rule or a schedule sends a message to a queue, which no SDK does.
    fn before_message(&self, message: &RoutedMessage) -> MessageFault {
        let _ = message;
        MessageFault::None
    }
}

/// A call of the API of DynamoDB, EventBridge, SQS or EventBridge Scheduler.
#[derive(Clone, Debug)]
pub struct EngineCall {
    /// For example `PutItem`.
    pub operation: String,
    /// The request in JSON. Parameters in the path and the query are members of it.
    pub body: Value,
}

/// What happens to a message of a rule or a schedule. AWS delivers it at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageFault {
    None,
    Dropped,
    Doubled,
}

/// A fault to inject into a call. With a response fault the engine executes the call, and with any other it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    Throttled,
    /// Cancels a transaction with a conflict on its first item.
    Conflict,
    /// Status 500.
    ServerError,
    AccessDenied,
    /// The connection breaks before the request arrives.
    RequestDropped,
    /// The request never arrives, and the caller never gets a response.
    RequestTimeout,
    /// The engine executes the call, and the connection breaks before the response arrives.
    ResponseDropped,
    /// The engine executes the call, and the caller never gets a response.
    ResponseTimeout,
    /// The engine executes a `PutEvents` or an SQS batch without the entry at this index, which fails. Any other call is
    /// executed.
    EntryFailed(usize),
}

impl EngineCall {
    /// Parses a request of an SDK.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target");
        Self::parse(request.method(), request.uri(), target, request.body().bytes().unwrap_or_default())
    }

    /// Parses a request. `target` is its header `X-Amz-Target`, which EventBridge Scheduler does not use.
    pub(crate) fn parse(method: &str, uri: &str, target: Option<&str>, body: &[u8]) -> Self {
        let body = serde_json::from_slice(body).unwrap_or_default();
        match (target, scheduler_protocol::operation(method, uri)) {
            (None, Some((operation, parameters))) => {
                let mut members = if let Value::Object(members) = body { members } else { Map::new() };
                members.extend(parameters);
                Self { operation: operation.to_owned(), body: Value::Object(members) }
            }
            (target, _) => {
                let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
                Self { operation: operation.to_owned(), body }
            }
        }
    }
}

/// An HTTP client of the SDK that passes its calls through an interceptor.
#[derive(Clone)]
pub(super) struct InterceptedClient {
    pub(super) transport: SharedHttpClient,
    pub(super) interceptor: Arc<dyn Interceptor>,
}

#[derive(Clone)]
struct InterceptedConnector {
    connector: SharedHttpConnector,
    interceptor: Arc<dyn Interceptor>,
}

impl HttpClient for InterceptedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.transport.http_connector(settings, components);
        SharedHttpConnector::new(InterceptedConnector { connector, interceptor: Arc::clone(&self.interceptor) })
    }
}

impl HttpConnector for InterceptedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.send(request).await })
    }
}

impl InterceptedConnector {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut call = EngineCall::of(&request);
        let original = call.body.clone();
        let fault = self.interceptor.before(&mut call);
        tokio::task::yield_now().await;
        let service_error = |status: u16, kind: &str| {
            http_response(StatusCode::try_from(status), &json!({ "__type": kind, "message": "injected" }))
        };
        match fault {
            Fault::Conflict => return http_response(StatusCode::try_from(400), &conflict(&call)),
            Fault::Throttled => return service_error(400, "com.amazon.coral.service#ThrottlingException"),
            Fault::ServerError => return service_error(500, "com.amazonaws.dynamodb.v20120810#InternalServerError"),
            Fault::AccessDenied => return service_error(400, "com.amazon.coral.service#AccessDeniedException"),
            Fault::RequestTimeout => std::future::pending().await,
            Fault::RequestDropped => return Err(ConnectorError::io("injected: request dropped".into())),
            Fault::None | Fault::ResponseDropped | Fault::ResponseTimeout | Fault::EntryFailed(_) => {}
        }
        let failed = match fault {
            Fault::EntryFailed(index) => FailedEntry::take(&mut call, index),
            _ => None,
        };
        if let Some(failed) = failed.as_ref().filter(|failed| failed.is_alone()) {
            return http_response(StatusCode::try_from(200), &failed.response());
        }
        if call.body != original {
            // The signature no longer fits the body, and no emulator verifies it.
            let body = call.body.to_string();
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body);
        }
        let mut response = self.connector.call(request).await?;
        let status = response.status();
        let body = ByteStream::new(response.take_body()).collect().await;
        let body = body.map_err(|error| ConnectorError::io(error.into()))?;
        let mut body = serde_json::from_slice(&body.into_bytes()).unwrap_or_default();
        if let Some(failed) = failed.filter(|_| status.is_success()) {
            failed.insert(&mut body);
        }
        if status.is_success() {
            self.interceptor.after(&call, &mut body);
        }
        match fault {
            Fault::ResponseDropped => Err(ConnectorError::io("injected: response dropped".into())),
            Fault::ResponseTimeout => std::future::pending().await,
            _ => http_response(Ok(status), &body),
        }
    }
}

pub(crate) fn http_response(
    status: Result<StatusCode, HttpError>,
    body: &Value,
) -> Result<HttpResponse, ConnectorError> {
    let status = status.map_err(|error| ConnectorError::other(error.into(), None))?;
    Ok(HttpResponse::new(status, SdkBody::from(body.to_string())))
}

/// The error of a transaction that is cancelled for a conflict. No emulator produces it.
fn conflict(call: &EngineCall) -> Value {
    let actions = call.body["TransactItems"].as_array().map(Vec::len).unwrap_or_default();
    let code = |index| if index == 0 { "TransactionConflict" } else { "None" };
    let reasons: Vec<Value> = (0..actions).map(|index| json!({ "Code": code(index) })).collect();
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "injected", "CancellationReasons": reasons,
    })
}

impl fmt::Debug for InterceptedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InterceptedClient")
    }
}

impl fmt::Debug for InterceptedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InterceptedConnector")
    }
}
