//! `cargo local send` and `cargo local queues`: the queues of a running system.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::requests;

/// Sends the content of a file, or of standard input, as one message.
pub(super) async fn send(url: &str, queue: &str, file: &Path) -> Result<(), String> {
    let body = if file == Path::new("-") {
        let mut body = String::new();
        io::stdin().read_to_string(&mut body).map(|_| body)
    } else {
        fs::read_to_string(file)
    };
    let body = body.map_err(|error| format!("{}: {error}", file.display()))?;
    let request = reqwest::Client::new().post(queue_url(url, queue)).body(body.trim_end().to_owned());
    let sent = requests::send(request, url).await?;
    println!("Sent the message {} to {queue}.", sent["id"].as_str().unwrap_or_default());
    Ok(())
}

/// Prints the number of messages in each queue.
pub(super) async fn list(url: &str) -> Result<(), String> {
    let list = requests::send(reqwest::Client::new().get(format!("{url}/queues")), url).await?;
    for queue in list["queues"].as_array().into_iter().flatten() {
        let count = |name: &str| queue[name].as_u64().unwrap_or_default();
        println!(
            "{:24} {:>6} visible {:>6} in flight {:>6} delayed",
            queue["id"].as_str().unwrap_or_default(),
            count("visible"),
            count("in_flight"),
            count("delayed")
        );
    }
    Ok(())
}

/// Prints the messages of a queue as lines of JSON.
pub(super) async fn show(url: &str, queue: &str) -> Result<(), String> {
    let list = requests::send(reqwest::Client::new().get(queue_url(url, queue)), url).await?;
    list["messages"].as_array().into_iter().flatten().for_each(|message: &Value| println!("{message}"));
    Ok(())
}

fn queue_url(url: &str, queue: &str) -> String {
    format!("{url}/queues/{}", utf8_percent_encode(queue, NON_ALPHANUMERIC))
}
