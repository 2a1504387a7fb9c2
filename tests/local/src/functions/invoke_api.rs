//! Remote functions behind a Lambda Invoke API: `cargo lambda watch`, `sam local start-lambda` or Lambda itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use lambda_runtime::Context;
use reqwest::Client;
use serde_json::Value;

use super::Function;

/// The longest timeout that Lambda allows. The remote side enforces the real one. A first request may wait for a build.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// The function at `url` with one of these names: some tools use the name of the binary, some the logical id.
pub fn at(url: &str, names: [&str; 2]) -> Function {
    let urls = names.map(|name| format!("{url}/2015-03-31/functions/{name}/invocations"));
    let (client, urls, known) = (Client::new(), Arc::new(urls), Arc::new(AtomicUsize::new(0)));
    Function::new(TIMEOUT, move |event: Value, _: Context| {
        let (client, urls, known) = (client.clone(), Arc::clone(&urls), Arc::clone(&known));
        Box::pin(async move {
            let first = known.load(Ordering::Relaxed);
            for name in [first, 1 - first] {
                let Some(url) = urls.get(name) else { continue };
                if let Some(answer) = invoke(&client, url, &event).await? {
                    known.store(name, Ordering::Relaxed);
                    return Ok(answer);
                }
            }
            Err(format!("there is no function at {}", urls.join(" or ")))
        })
    })
}

/// Invokes the function at this URL. `None` if there is no such function.
async fn invoke(client: &Client, url: &str, event: &Value) -> Result<Option<Value>, String> {
    let request = client.post(url).body(event.to_string());
    let response = request.send().await.map_err(|_| format!("no response from {url}"))?;
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let failed = response.headers().contains_key("x-amz-function-error") || !status.is_success();
    let answer = response.text().await.map_err(|error| error.to_string())?;
    match serde_json::from_str(&answer) {
        Ok(answer) if !failed => Ok(Some(answer)),
        _ => Err(format!("{url} returns {status}: {answer}")),
    }
}
