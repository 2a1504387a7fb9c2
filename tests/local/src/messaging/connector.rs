//! The services behind the SDK's HTTP connector, without a socket.

use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::HttpRequest,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};

use super::Messaging;
use crate::engine::interceptor::{EngineCall, http_response};

impl HttpConnector for Messaging {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (call, messaging) = (EngineCall::of(&request), self.clone());
        HttpConnectorFuture::new(async move {
            // A network call yields in both directions: other tasks run, and an invocation may be dropped meanwhile.
            tokio::task::yield_now().await;
            let (status, body) = match messaging.execute(&call) {
                Ok(response) => (200, response),
                Err(error) => (error.status, error.body()),
            };
            tokio::task::yield_now().await;
            http_response(StatusCode::try_from(status), &body)
        })
    }
}

impl HttpClient for Messaging {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
