//! The local stack and the operator's command line as processes of their own, which are killed.
//!
//! ```sh
//! KILLS=50 cargo test -p local --test processes killed_under_load -- --nocapture
//! ORDERS=100000 cargo test -p local --test processes rebuild -- --nocapture
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail loudly, and tell what was done when asked to"
)]

mod rebuild;
mod survival;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// A local stack in a process of its own, which is killed with it.
struct StackProcess {
    child: Child,
    /// Held open: a process whose output nobody takes would end by itself.
    _output: BufReader<ChildStdout>,
}

impl StackProcess {
    fn start(port: u16, data: Option<&Path>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.args(["--port", &port.to_string()]);
        if let Some(data) = data {
            command.arg("--data").arg(data);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert!(line.contains(&format!(":{port}")), "it does not start: {line}");
        Self { child, _output: output }
    }

    /// SIGKILL, and a new beginning, while others go on asking.
    async fn restart(self, data: PathBuf, port: u16) -> Self {
        let again = move || {
            drop(self);
            Self::start(port, Some(&data))
        };
        tokio::task::spawn_blocking(again).await.unwrap()
    }
}

/// SIGKILL.
impl Drop for StackProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory for a test, gone with it.
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

/// A number that the environment may have.
fn number_from_env(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).map_or(otherwise, |number| number.parse().expect("a number"))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A token of an operator, which outlives the process as its key does.
async fn token(port: u16) -> String {
    let asked = r#"{"sub": "check", "scope": "orders/admin", "expires_in": 86400}"#;
    let issuer = format!("http://127.0.0.1:{port}/token");
    let answer = reqwest::Client::new().post(issuer).body(asked).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}
