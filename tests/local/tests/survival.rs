//! `cargo local --data DIR` is killed under load, again and again: no acknowledged command is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
};

use reqwest::Client;
use serde_json::{Value, json};

const KILLS: usize = 10;
const CLIENTS: usize = 8;

/// A system in a process of its own.
struct Process {
    child: Child,
    url: String,
    /// Held open: a process whose output nobody takes would end by itself.
    _output: BufReader<ChildStdout>,
}

impl Process {
    fn start(data: &Path) -> Self {
        // Port 0: any that is free. The first line says which.
        let mut child = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(["--port", "0", "--data", data.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        let url = url.trim_end_matches(',').to_owned();
        Self { child, url, _output: output }
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Places orders and cancels every third, until the system is gone. What was acknowledged is noted.
async fn load(url: String, client: usize, round: usize, promised: Arc<Mutex<BTreeMap<String, u64>>>) {
    let http = Client::new();
    for number in 0.. {
        let body = json!({
            "customer_id": format!("customer-{client}"), "currency": "EUR", "shipping_address": "here",
            "items": [{ "sku": "A", "quantity": 1, "unit_price": 100 }],
        });
        let placed = post(&http, &format!("{url}/orders"), &format!("{round}-{client}-{number}"), &body).await;
        let Some(placed) = placed else { return };
        let id = placed["order_id"].as_str().unwrap().to_owned();
        promised.lock().unwrap().insert(id.clone(), 1);
        if number % 3 == 0 {
            let path = format!("{url}/orders/{id}/cancel");
            let Some(_) = post(&http, &path, "cancel", &json!({ "reason": "why not" })).await else { return };
            promised.lock().unwrap().insert(id, 2);
        }
    }
}

/// The answer; `None` when nothing answers any more.
async fn post(http: &Client, url: &str, key: &str, body: &Value) -> Option<Value> {
    let request = http.post(url).header("Content-Type", "application/json").header("Idempotency-Key", key);
    let response = request.body(body.to_string()).send().await.ok()?;
    let status = response.status().as_u16();
    assert!([200, 201, 503].contains(&status), "{status}");
    if status == 503 { None } else { response.json().await.ok() }
}

async fn get(url: &str, path: &str) -> Value {
    Client::new().get(format!("{url}{path}")).send().await.unwrap().json().await.unwrap()
}

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn no_acknowledged_command_is_lost_when_the_stack_is_killed_ten_times() {
    let data = Directory(std::env::temp_dir().join(format!("local-survival-{}", std::process::id())));
    let promised = Arc::new(Mutex::new(BTreeMap::new()));
    for round in 0..KILLS {
        let process = Process::start(&data.0);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| tokio::spawn(load(process.url.clone(), client, round, Arc::clone(&promised))))
            .collect();
        // Killed when so many more commands were acknowledged: another moment in each round.
        let enough = promised.lock().unwrap().len() + 20 + 13 * round;
        while promised.lock().unwrap().len() < enough {
            assert!(!clients.iter().all(tokio::task::JoinHandle::is_finished), "the system ended by itself");
            tokio::task::yield_now().await;
        }
        process.kill();
        for client in clients {
            client.await.unwrap();
        }
    }

    let process = Process::start(&data.0);
    let promised = promised.lock().unwrap().clone();
    for (id, version) in &promised {
        let history = get(&process.url, &format!("/orders/{id}/events")).await;
        let events = history["events"].as_array().unwrap_or_else(|| panic!("{id} is lost: {history}"));
        assert!(events.len() as u64 >= *version, "{id} lost its version {version}");
    }
    converges(&process.url, promised.len()).await;
    process.kill();
}

/// In the end all orders are counted: those that were promised, and at most one a client and round whose answer was
/// cut off.
async fn converges(url: &str, promised: usize) {
    for _ in 0..10_000 {
        let dashboard = get(url, "/dashboard").await;
        let (mut listed, mut cancelled) = (0, 0);
        for client in 0..CLIENTS {
            let mut cursor = String::new();
            loop {
                let path = format!("/customers/customer-{client}/orders?limit=100{cursor}");
                let page = get(url, &path).await;
                let rows = page["orders"].as_array().unwrap();
                listed += rows.len();
                cancelled += rows.iter().filter(|row| row["status"] == "cancelled").count();
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
        }
        let counted = dashboard["orders"].as_u64().unwrap() as usize;
        if counted >= promised && counted == listed {
            assert!(counted <= promised + KILLS * CLIENTS);
            assert_eq!(dashboard["by_status"]["cancelled"].as_u64().unwrap() as usize, cancelled);
            return;
        }
    }
    panic!("the read models do not come to {promised} orders");
}
