//! `cargo local` and `cargo operate` as child processes that the tests kill.
//!
//! ```sh
//! KILLS=50 cargo test -p deployment --test processes survival -- --nocapture
//! ORDERS=100000 cargo test -p deployment --test processes rebuild -- --nocapture
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print their results"
)]

mod counters;
mod messages;
mod ports;
mod rebuild;
mod remote;
mod signals;
mod survival;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use check::{Api, Load};
use cqrs_dynamodb::Environment;
use deployment::OrderWorkload;

/// A local stack in a child process. Drop kills it.
struct StackProcess {
    child: Child,
    /// Kept open: without a reader, printing would fail in the child.
    _output: BufReader<ChildStdout>,
}

impl StackProcess {
    fn start(port: u16, data: Option<&Path>) -> Self {
        Self::start_with(port, data, &[])
    }

    fn start_with(port: u16, data: Option<&Path>, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.args(["--port", &port.to_string()]).args(arguments);
        if let Some(data) = data {
            command.arg("--data").arg(data);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert!(line.contains(&format!(":{port}")), "the stack does not start: {line}");
        Self { child, _output: output }
    }

    /// Kills the process and starts another one, without blocking the clients.
    async fn restart(self, data: PathBuf, port: u16) -> Self {
        let restart = move || {
            drop(self);
            Self::start(port, Some(&data))
        };
        tokio::task::spawn_blocking(restart).await.unwrap()
    }
}

/// Kills the process with SIGKILL.
impl Drop for StackProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A temporary directory. Drop removes it.
struct DataDirectory(PathBuf);

impl DataDirectory {
    fn new(test: &str) -> Self {
        let directory = Self(env::temp_dir().join(format!("local-{test}-{}", std::process::id())));
        fs::create_dir_all(&directory.0).unwrap();
        directory
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The number in an environment variable, or `default`.
fn number_from_env(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |number| number.parse().expect("a number"))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Gets an operator's token. It stays valid after a restart if the stack has a data directory.
async fn token(port: u16) -> String {
    let body = r#"{"sub": "check", "scope": "orders/admin", "expires_in": 86400}"#;
    let issuer = format!("http://127.0.0.1:{port}/token");
    let response = reqwest::Client::new().post(issuer).body(body).send().await.unwrap();
    let response: serde_json::Value = response.json().await.unwrap();
    response["access_token"].as_str().unwrap().to_owned()
}

/// The load of `cargo local check` on the stack at this port.
async fn load(port: u16, clients: u64) -> Load<OrderWorkload> {
    let api = Api::new(format!("http://127.0.0.1:{port}"), token(port).await).unwrap();
    let environment = Environment::system();
    let run = format!("{:08x}", environment.random_below(1 << 32));
    Load::new(api, OrderWorkload, Arc::new(move || environment.now()), run, clients, 1)
}
