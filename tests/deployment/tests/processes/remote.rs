//! `cargo local --dynamodb`, with a DynamoDB that refuses every call.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::{Command, Output},
    thread,
};

/// Starts a server that answers each call with `answer`. Returns its URL, and a channel with the calls it receives.
fn refusing(answer: &'static str) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, calls) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut call = vec![0; 64 * 1024];
            let length = connection.read(&mut call).unwrap_or_default();
            let _ = sender.send(String::from_utf8_lossy(&call[..length]).into_owned());
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    (url, calls)
}

const EMPTY_ERROR: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn local(url: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(["--port", "0", "--dynamodb", url]).env_remove("AWS_REGION").env_remove("AWS_ACCESS_KEY_ID");
    command.envs(variables.iter().copied()).output().unwrap()
}

fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_error_without_a_body_gets_a_message() {
    let (url, _) = refusing(EMPTY_ERROR);
    let error = error(&local(&url, &[]));
    assert!(error.contains("answered with status 400") && error.contains("set AWS_REGION"), "{error}");
}

#[test]
fn the_region_and_the_key_of_the_environment_are_used() {
    let (url, calls) = refusing(EMPTY_ERROR);
    error(&local(&url, &[("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")]));
    let call = calls.recv().unwrap();
    assert!(call.contains("Credential=AKIAEXAMPLE/") && call.contains("/eu-west-1/dynamodb/aws4_request"), "{call}");
}

#[test]
fn a_setting_that_cannot_be_honoured_is_refused_at_the_start() {
    for variable in ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"] {
        let error = error(&local("http://localhost:1", &[(variable, "true")]));
        let expected = format!(
            "cargo local: the environment variable {variable} must be false or not set if an endpoint is set.\n"
        );
        assert_eq!(error, expected);
    }
}

#[test]
fn a_dynamodb_that_does_not_run_is_told_with_the_cause() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = error(&local(&format!("http://127.0.0.1:{port}"), &[]));
    assert!(error.contains("no response (") && error.contains("Start it, or omit --dynamodb"), "{error}");
}
