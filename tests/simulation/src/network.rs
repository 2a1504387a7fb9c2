//! A network with latency. A call that was sent continues when its caller stops waiting.

use std::{fmt, sync::Arc, time::Duration};

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use local::engine::call_keys::CallKeys;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::world::World;

/// An HTTP client of the SDK that delays its calls.
#[derive(Clone)]
pub struct Network {
    pub transport: SharedHttpClient,
    pub keys: CallKeys,
    pub world: Arc<World>,
}

#[derive(Clone)]
struct Connection {
    connector: SharedHttpConnector,
    keys: CallKeys,
    world: Arc<World>,
}

impl HttpClient for Network {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.transport.http_connector(settings, components);
        SharedHttpConnector::new(Connection { connector, keys: self.keys.clone(), world: Arc::clone(&self.world) })
    }
}

impl HttpConnector for Connection {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connection = self.clone();
        HttpConnectorFuture::new(async move {
            let call = tokio::spawn(async move { connection.send(request).await });
            call.await.map_err(|error| ConnectorError::other(error.into(), None))?
        })
    }
}

impl Connection {
    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let operation = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
        let operation = operation.unwrap_or_default().to_owned();
        let body = request.body().bytes().map(serde_json::from_slice::<Value>).and_then(Result::ok).unwrap_or_default();
        sleep(self.latency()).await;
        let response = self.connector.call(request).await;
        let (outcome, document) = match &response {
            Ok(response) => {
                let document = response.body().bytes().map(serde_json::from_slice).and_then(Result::ok);
                (response.status().as_u16().to_string(), document.unwrap_or_default())
            }
            Err(_) => ("no response".to_owned(), Value::Null),
        };
        let text = format!("{operation} {} → {outcome}", self.keys.subjects(&body).join(" "));
        self.world.trace.record(&text, &json!([body, document]));
        sleep(self.latency()).await;
        response
    }

    /// Usually a few milliseconds. Sometimes more than the SDK's timeout, so that DynamoDB executes an abandoned call.
    fn latency(&self) -> Duration {
        let Self { world, .. } = self;
        if world.inject("call took over a second", 6) {
            Duration::from_secs(1) + world.random.duration_below(3000)
        } else if world.inject("slow call", 30) {
            world.random.duration_below(500)
        } else {
            world.random.duration_below(10)
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}
