//! Talks to a system that runs.

use serde_json::{Value, json};

use crate::authorizer::OPERATOR_SCOPES;

/// A token of the system's own issuer.
pub(super) async fn token(url: &str, sub: &str, scope: &str, expires_in: i64) -> Result<String, String> {
    let asked = json!({ "sub": sub, "scope": scope, "expires_in": expires_in });
    let answer = answer(reqwest::Client::new().post(format!("{url}/token")).body(asked.to_string()), url).await?;
    answer["access_token"].as_str().map(str::to_owned).ok_or_else(|| format!("no token is issued: {answer}"))
}

/// What the system says of itself.
pub(super) async fn health(url: &str) -> Result<Value, String> {
    answer(reqwest::Client::new().get(format!("{url}/health")), url).await
}

/// What an operator gets at this path.
pub(super) async fn get(url: &str, path: &str) -> Result<Value, String> {
    let token = token(url, "operator", OPERATOR_SCOPES, 60).await?;
    answer(reqwest::Client::new().get(format!("{url}{path}")).bearer_auth(token), url).await
}

async fn answer(request: reqwest::RequestBuilder, url: &str) -> Result<Value, String> {
    let nobody = |_| format!("nothing answers at {url}. Start it with `cargo local`, or say where it is with --url.");
    let response = request.send().await.map_err(nobody)?;
    let status = response.status();
    let document: Value = response.json().await.map_err(|_| format!("{url} is not a system of `cargo local`."))?;
    if status.is_success() {
        return Ok(document);
    }
    let detail = ["detail", "message"].into_iter().find_map(|field| document[field].as_str());
    Err(detail.map_or_else(|| status.to_string(), str::to_owned))
}
