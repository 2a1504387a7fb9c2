//! Requests of the command line to a running system.

use serde_json::{Value, json};

use crate::Deployment;

/// Gets a token of the local issuer. `scope` lists scopes separated by spaces; `expires_in` is in seconds.
///
/// # Errors
/// Fails if the system does not answer, or does not run in the local stack.
pub async fn token(url: &str, sub: &str, scope: &str, expires_in: i64) -> Result<String, String> {
    let body = json!({ "sub": sub, "scope": scope, "expires_in": expires_in });
    let response = send(reqwest::Client::new().post(format!("{url}/token")).body(body.to_string()), url).await?;
    response["access_token"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("the response contains no token: {response}"))
}

/// The URL of the system's DynamoDB, from `GET /health`.
///
/// # Errors
/// Fails if the system does not answer, or does not run in the local stack.
pub async fn dynamodb(url: &str) -> Result<String, String> {
    let health = send(reqwest::Client::new().get(format!("{url}/health")), url).await?;
    health["dynamodb"].as_str().map(str::to_owned).ok_or("the system does not show the URL of its DynamoDB".to_owned())
}

/// Reads the document at `path` as an operator.
pub(super) async fn get(deployment: &Deployment, url: &str, path: &str) -> Result<Value, String> {
    let token = token(url, "operator", &deployment.operator_scopes(), 60).await?;
    send(reqwest::Client::new().get(format!("{url}{path}")).bearer_auth(token), url).await
}

/// Sends a request to a system that runs at `url`. Returns the document of the response.
///
/// # Errors
/// Fails if the system does not answer with success, or does not run in the local stack.
pub(super) async fn send(request: reqwest::RequestBuilder, url: &str) -> Result<Value, String> {
    let no_response = |_| format!("no response from {url}. Start the system with `cargo local`, or set --url.");
    let response = request.send().await.map_err(no_response)?;
    let status = response.status();
    let document: Value =
        response.json().await.map_err(|_| format!("{url} is not a system started by `cargo local`."))?;
    if status.is_success() {
        return Ok(document);
    }
    let detail = ["detail", "message"].into_iter().find_map(|field| document[field].as_str());
    Err(detail.map_or_else(|| status.to_string(), str::to_owned))
}
