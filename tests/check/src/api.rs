//! Requests to the checked system, and the classification of its responses.

mod https;

use std::time::Duration;

use http::{Request, StatusCode, header, request::Builder};
use http_body_util::BodyExt;
use serde_json::Value;

use self::https::HttpsClient;
use crate::{
    history::Reply,
    workload::{PlannedCommand, Workload},
};

/// The timeout of a request. An HTTP API waits 30 seconds for its function.
const TIMEOUT: Duration = Duration::from_secs(31);
/// The most attempts of a read that must be answered.
const MAX_ATTEMPTS: u32 = 100;

/// The API of a system, used as an operator.
pub struct Api {
    client: HttpsClient,
    url: String,
    token: String,
}

impl Api {
    /// Uses the API at `url` with a bearer token.
    ///
    /// # Errors
    /// Fails for an HTTPS URL if this machine has no root certificates.
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Result<Self, String> {
        let url = url.into();
        Ok(Self { client: https::client(&url)?, url, token: token.into() })
    }

    /// Sends one request of a command. A 408, a 5xx or no response gives [`Reply::Unknown`].
    pub(crate) async fn command(&self, workload: &impl Workload, key: &str, command: &PlannedCommand) -> Reply {
        let request = Request::post(format!("{}{}", self.url, command.path));
        let request = request.header(header::CONTENT_TYPE, "application/json").header("Idempotency-Key", key);
        let Some((status, document)) = self.send(request, command.body.to_string()).await else {
            return Reply::Unknown;
        };
        let accepted = || Some((workload.stream(&document)?, document.get("version")?.as_u64()?));
        match status {
            status if status.is_success() => {
                accepted().map_or(Reply::Unknown, |(stream, version)| Reply::Accepted { stream, version })
            }
            StatusCode::REQUEST_TIMEOUT => Reply::Unknown,
            status if status.is_client_error() => Reply::Refused(status.as_u16()),
            _ => Reply::Unknown,
        }
    }

    /// Reads the document at `path`. `None` for a 404.
    ///
    /// # Errors
    /// Fails for any other status, and if there is no response.
    pub(crate) async fn read(&self, path: &str) -> Result<Option<Value>, String> {
        match self.get(path).await {
            Some((StatusCode::OK, document)) if !document.is_null() => Ok(Some(document)),
            Some((StatusCode::NOT_FOUND, _)) => Ok(None),
            Some((status, document)) => Err(format!("GET {path} returns {status}: {document}")),
            None => Err(format!("GET {path} gets no response")),
        }
    }

    /// Repeats [`read`](Self::read) until it succeeds.
    ///
    /// # Errors
    /// Fails with the last error after `MAX_ATTEMPTS` attempts.
    pub(crate) async fn read_until_answered(&self, path: &str) -> Result<Option<Value>, String> {
        for _ in 1..MAX_ATTEMPTS {
            if let Ok(document) = self.read(path).await {
                return Ok(document);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.read(path).await
    }

    /// Checks that the API answers at `path` and accepts the token.
    ///
    /// # Errors
    /// Fails with a message that names the cause.
    pub(crate) async fn ping(&self, path: &str) -> Result<(), String> {
        match self.get(path).await {
            Some((StatusCode::OK, document)) if document.is_object() => Ok(()),
            Some((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)) => {
                Err(format!("{} refuses the token. The token needs the scopes of an operator.", self.url))
            }
            Some((status, _)) => Err(format!("{} is not the checked service: GET {path} returns {status}.", self.url)),
            None => Err(format!("no response from {}. Set the URL of the system with --url.", self.url)),
        }
    }

    async fn get(&self, path: &str) -> Option<(StatusCode, Value)> {
        self.send(Request::get(format!("{}{path}", self.url)), String::new()).await
    }

    /// Status and document of a complete response. The document is `Null` if it is not JSON. `None` without a response.
    async fn send(&self, request: Builder, body: String) -> Option<(StatusCode, Value)> {
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        let request = request.body(body).ok()?;
        let response = async {
            let response = self.client.request(request).await.ok()?;
            let status = response.status();
            let document = response.into_body().collect().await.ok()?.to_bytes();
            Some((status, serde_json::from_slice(&document).unwrap_or_default()))
        };
        tokio::time::timeout(TIMEOUT, response).await.ok()?
    }
}
