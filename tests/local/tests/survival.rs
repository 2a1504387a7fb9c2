//! `cargo local --data DIR` is killed under load, again and again: it keeps all its promises, as `cargo local check`
//! understands them.
//!
//! `KILLS=50 cargo test -p local --test survival` kills it more often than by default.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail loudly, and tell what was done when asked to"
)]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use cqrs_dynamodb::Ambient;
use jiff::SignedDuration;
use local::check::{Api, Load, check};

const CLIENTS: u64 = 8;

/// A system in a process of its own.
struct Process {
    child: Child,
    /// Held open: a process whose output nobody takes would end by itself.
    _output: BufReader<ChildStdout>,
}

impl Process {
    fn start(data: &Path, port: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(["--port", &port.to_string(), "--data", data.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert!(line.contains(&format!(":{port}")), "it does not start: {line}");
        Self { child, _output: output }
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGKILL, and a new beginning, while others go on asking.
    async fn again(self, data: PathBuf, port: u16) -> Self {
        let again = move || {
            self.kill();
            Self::start(&data, port)
        };
        tokio::task::spawn_blocking(again).await.unwrap()
    }
}

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How often the system is killed.
fn kills() -> u64 {
    env::var("KILLS").map_or(10, |kills| kills.parse().expect("KILLS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_command_is_lost_when_the_stack_is_killed_under_load() {
    let data = Directory(env::temp_dir().join(format!("local-survival-{}", std::process::id())));
    // The same port each time: to its clients it is one system, which does not answer for a while.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ambient = Ambient::system();
    let random = ambient.clone();
    let mut process = Process::start(&data.0, port);
    let api = Api::new(format!("http://127.0.0.1:{port}"), operator(port).await).unwrap();
    let load = Load::new(api, ambient, CLIENTS, 1);
    let ended = AtomicBool::new(false);

    let killing = async {
        for _ in 0..kills() {
            // At any moment: after so many more commands, and in the midst of others.
            let enough = load.acknowledged() + 5 + random.random_below(60);
            while load.acknowledged() < enough {
                tokio::task::yield_now().await;
            }
            process = process.again(data.0.clone(), port).await;
        }
        ended.store(true, Ordering::SeqCst);
        process
    };
    let patience = SignedDuration::from_secs(60);
    let (process, summary) = tokio::join!(killing, check(&load, || !ended.load(Ordering::SeqCst), patience));
    let summary = summary.unwrap();
    process.kill();
    println!("{} kills; {summary}", kills());
    assert_eq!(summary.violations, []);
    assert!(summary.caught_up_after.is_some());
    assert!(summary.commands.unknown + summary.commands.resolved > 0, "no answer was lost");
}

/// A token, which outlives the process as its key does.
async fn operator(port: u16) -> String {
    let asked = r#"{"sub": "check", "scope": "orders/admin", "expires_in": 86400}"#;
    let issuer = format!("http://127.0.0.1:{port}/token");
    let answer = reqwest::Client::new().post(issuer).body(asked).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}
