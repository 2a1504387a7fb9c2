//! Intercepts calls between the SDK and an engine, to observe them and to inject faults.

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
use serde_json::{Value, json};

/// Observes and changes the calls between the SDK and an engine.
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
}

/// A call of the DynamoDB API.
#[derive(Clone, Debug)]
pub struct EngineCall {
    /// For example `PutItem`.
    pub operation: String,
    /// The request in DynamoDB's JSON.
    pub body: Value,
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
}

impl EngineCall {
    /// Parses a request of the SDK.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().map(serde_json::from_slice).and_then(Result::ok).unwrap_or_default();
        Self { operation, body }
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
            Fault::Throttled => return service_error(400, "com.amazonaws.dynamodb.v20120810#ThrottlingException"),
            Fault::ServerError => return service_error(500, "com.amazonaws.dynamodb.v20120810#InternalServerError"),
            Fault::AccessDenied => return service_error(400, "com.amazon.coral.service#AccessDeniedException"),
            Fault::RequestTimeout => std::future::pending().await,
            Fault::RequestDropped => return Err(ConnectorError::io("injected: request dropped".into())),
            Fault::None | Fault::ResponseDropped | Fault::ResponseTimeout => {}
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

pub(super) fn http_response(
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
