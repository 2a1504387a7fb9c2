//! EventBridge and SQS behind the SDKs: records the calls, and fails as a test demands.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use app::{App, Aws, Settings};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// The recorded calls. Clones share them.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Calls>>);

#[derive(Default)]
struct Calls {
    events: Vec<Value>,
    letters: Vec<Value>,
    is_down: bool,
}

impl Recorder {
    /// Returns an app whose clients of EventBridge and SQS call the recorder. `scopes` are those of the queue's caller.
    pub fn app(&self, app: &App, scopes: &str) -> App {
        let settings =
            Settings::read(&[], |name| (name == "AWS_ENDPOINT_URL").then(|| "http://localhost:1".to_owned()));
        let scopes = scopes.to_owned();
        let variable = move |name: &str| {
            let value = match name {
                "EVENT_BUS" => "EventBus",
                "EVENT_SOURCE" => "orders",
                "COMMAND_DEAD_LETTERS" => "CommandDeadLetters",
                "COMMAND_CALLER" => "command-queue",
                "COMMAND_SCOPES" => &scopes,
                "AWS_ENDPOINT_URL" => "http://localhost:1",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let client = aws_smithy_runtime_api::client::http::SharedHttpClient::new(self.clone());
        App { aws: Aws::new(&settings.unwrap(), client, variable), ..app.clone() }
    }

    /// Makes all later calls fail, or succeed again.
    pub fn set_down(&self, is_down: bool) {
        self.0.lock().unwrap().is_down = is_down;
    }

    /// Returns the details of the events that were put since the last call.
    pub fn take_events(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap().events)
    }

    /// Returns the messages that were sent since the last call.
    pub fn take_letters(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap().letters)
    }

    fn answer(&self, operation: &str, body: Value) -> (u16, Value) {
        let mut calls = self.0.lock().unwrap();
        if calls.is_down {
            return (400, json!({ "__type": "AccessDeniedException", "message": "denied" }));
        }
        match operation {
            "PutEvents" => {
                let entries = body["Entries"].as_array().unwrap().clone();
                let ids = vec![json!({ "EventId": "1" }); entries.len()];
                calls.events.extend(entries);
                (200, json!({ "FailedEntryCount": 0, "Entries": ids }))
            }
            "SendMessage" => {
                calls.letters.push(body);
                (200, json!({ "MessageId": "1", "MD5OfMessageBody": "" }))
            }
            other => panic!("unexpected call of {other}"),
        }
    }
}

impl HttpConnector for Recorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let (status, answer) = self.answer(operation, body);
        let response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(answer.to_string()));
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Recorder {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}
