//! How the system is asked, and what counts as an answer.

mod https;

use std::time::Duration;

use http::{Request, StatusCode, header, request::Builder};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use self::https::HttpsClient;
use super::history::Reply;

/// How long an answer may take: as long as an HTTP API waits for its function, and a little more.
const TIMEOUT: Duration = Duration::from_secs(31);
/// How often a read that has to be answered is sent, at most.
const TRIES: u32 = 100;

/// A system, as one of its operators meets it.
pub struct Api {
    client: HttpsClient,
    url: String,
    token: String,
}

impl Api {
    /// The one at this URL, for the bearer of this token.
    ///
    /// # Errors
    /// If the URL is one of HTTPS, and this machine trusts nobody.
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Result<Self, String> {
        let url = url.into();
        Ok(Self { client: https::client(&url)?, url, token: token.into() })
    }

    /// Sends a command under this key.
    pub(super) async fn command(&self, path: &str, key: &str, body: &Value) -> Reply {
        let request = Request::post(format!("{}{path}", self.url)).header(header::CONTENT_TYPE, "application/json");
        let answer = self.answer(request.header("Idempotency-Key", key), body.to_string()).await;
        let Some((status, document)) = answer else { return Reply::Unknown };
        let done = || Some((document["order_id"].as_str()?.to_owned(), document["version"].as_u64()?));
        match status {
            status if status.is_success() => {
                done().map_or(Reply::Unknown, |(order, version)| Reply::Accepted { order, version })
            }
            StatusCode::REQUEST_TIMEOUT => Reply::Unknown,
            status if status.is_client_error() => Reply::Refused(status.as_u16()),
            _ => Reply::Unknown,
        }
    }

    /// What is at this path: `None` where there is nothing.
    ///
    /// # Errors
    /// What came instead of an answer.
    pub(super) async fn read(&self, path: &str) -> Result<Option<Value>, String> {
        match self.get(path).await {
            Some((StatusCode::OK, document)) if !document.is_null() => Ok(Some(document)),
            Some((StatusCode::NOT_FOUND, _)) => Ok(None),
            Some((status, document)) => Err(format!("GET {path} is answered {status}: {document}")),
            None => Err(format!("GET {path} is not answered")),
        }
    }

    /// The same, asked until it is answered.
    ///
    /// # Errors
    /// As [`read`](Self::read), when there is still no answer after some time.
    pub(super) async fn read_until_answered(&self, path: &str) -> Result<Option<Value>, String> {
        for _ in 1..TRIES {
            if let Ok(document) = self.read(path).await {
                return Ok(document);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.read(path).await
    }

    /// Looks whether there is a system that lets the bearer in.
    ///
    /// # Errors
    /// What is there instead.
    pub async fn ping(&self) -> Result<(), String> {
        match self.get("/dashboard?days=1").await {
            Some((StatusCode::OK, document)) if document["orders"].is_number() => Ok(()),
            Some((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)) => {
                Err(format!("{} does not take the token. It needs the scope orders/admin.", self.url))
            }
            Some((status, _)) => Err(format!("{} is no order service: GET /dashboard is answered {status}.", self.url)),
            None => Err(format!("nothing answers at {}. Say where the system is with --url.", self.url)),
        }
    }

    async fn get(&self, path: &str) -> Option<(StatusCode, Value)> {
        self.answer(Request::get(format!("{}{path}", self.url)), String::new()).await
    }

    /// Status and document of an answer that comes in time, and in full; `Null` is none in JSON.
    async fn answer(&self, request: Builder, body: String) -> Option<(StatusCode, Value)> {
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        let request = request.body(Full::from(body)).ok()?;
        let answer = async {
            let answer = self.client.request(request).await.ok()?;
            let status = answer.status();
            let document = answer.into_body().collect().await.ok()?.to_bytes();
            Some((status, serde_json::from_slice(&document).unwrap_or_default()))
        };
        tokio::time::timeout(TIMEOUT, answer).await.ok()?
    }
}
