//! Tests that messages and the clock of `cargo local` survive SIGKILL.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{DataDirectory, StackProcess, free_port};

/// Runs a command of `cargo local` on the system at `port`, with this standard input. Returns its standard output.
fn run(port: u16, arguments: &[&str], input: &str) -> String {
    let url = format!("http://127.0.0.1:{port}");
    let command = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(arguments)
        .args(["--url", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = command.unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert_eq!(output.status.success(), !text.starts_with("cargo local:"), "{text}");
    text
}

/// The template of the system, with a queue that no function reads.
fn template_with_a_queue(directory: &Path) -> String {
    let template = fs::read_to_string(deployment::deployment().template).unwrap();
    let queue = "Resources:\n  Letters:\n    Type: AWS::SQS::Queue\n";
    let file = directory.join("template.yaml");
    fs::write(&file, template.replacen("Resources:\n", queue, 1)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn messages_and_the_clock_survive_a_kill() {
    let data = DataDirectory::new("messages");
    let template = template_with_a_queue(&data.0);
    let start = |port| StackProcess::start_with(port, Some(&data.0), &["--template", &template]);
    let port = free_port();
    let process = start(port);
    assert!(run(port, &["send", "Letters"], "{\"text\": \"hello\"}\n").starts_with("Sent the message "));
    assert!(run(port, &["wind", "2h"], "").ends_with("and is 2h ahead.\n"));
    drop(process);
    let port = free_port();
    let _process = start(port);
    let message: Value = serde_json::from_str(&run(port, &["queues", "Letters"], "")).unwrap();
    assert_eq!((&message["body"], &message["receives"]), (&"{\"text\": \"hello\"}".into(), &0.into()));
    assert!(run(port, &["queues"], "").lines().any(|line| line.starts_with("Letters") && line.contains(" 1 visible")));
    assert!(run(port, &["wind", "1s"], "").ends_with("and is 2h 1s ahead.\n"));
    let unknown = run(port, &["send", "Lettres"], "{}");
    assert!(unknown.starts_with("cargo local: the system has no queue Lettres; it has: "), "{unknown}");
}
