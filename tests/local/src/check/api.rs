//! Requests to the checked system, and the classification of its responses.

mod https;

use std::time::Duration;

use http::{Request, StatusCode, header, request::Builder};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use self::https::HttpsClient;
use super::history::Reply;

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
    pub(super) async fn command(&self, path: &str, key: &str, body: &Value) -> Reply {
        let request = Request::post(format!("{}{path}", self.url)).header(header::CONTENT_TYPE, "application/json");
        let response = self.send(request.header("Idempotency-Key", key), body.to_string()).await;
        let Some((status, document)) = response else { return Reply::Unknown };
        let accepted = || Some((document["order_id"].as_str()?.to_owned(), document["version"].as_u64()?));
        match status {
            status if status.is_success() => {
                accepted().map_or(Reply::Unknown, |(order, version)| Reply::Accepted { order, version })
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
    pub(super) async fn read(&self, path: &str) -> Result<Option<Value>, String> {
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
    pub(super) async fn read_until_answered(&self, path: &str) -> Result<Option<Value>, String> {
        for _ in 1..MAX_ATTEMPTS {
            if let Ok(document) = self.read(path).await {
                return Ok(document);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.read(path).await
    }

    /// Checks that the URL is an order service and accepts the token.
    ///
    /// # Errors
    /// Fails with a message that names the cause.
    pub async fn ping(&self) -> Result<(), String> {
        match self.get("/dashboard?days=1").await {
            Some((StatusCode::OK, document)) if document["orders"].is_number() => Ok(()),
            Some((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)) => {
                Err(format!("{} refuses the token. The token needs the scope orders/admin.", self.url))
            }
            Some((status, _)) => Err(format!("{} is not an order service: GET /dashboard returns {status}.", self.url)),
            None => Err(format!("no response from {}. Set the URL of the system with --url.", self.url)),
        }
    }

    async fn get(&self, path: &str) -> Option<(StatusCode, Value)> {
        self.send(Request::get(format!("{}{path}", self.url)), String::new()).await
    }

    /// Status and document of a complete response. The document is `Null` if it is not JSON. `None` without a response.
    async fn send(&self, request: Builder, body: String) -> Option<(StatusCode, Value)> {
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        let request = request.body(Full::from(body)).ok()?;
        let response = async {
            let response = self.client.request(request).await.ok()?;
            let status = response.status();
            let document = response.into_body().collect().await.ok()?.to_bytes();
            Some((status, serde_json::from_slice(&document).unwrap_or_default()))
        };
        tokio::time::timeout(TIMEOUT, response).await.ok()?
    }
}
