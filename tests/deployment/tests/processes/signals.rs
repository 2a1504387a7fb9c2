//! Tests that signals end `cargo local`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{StackProcess, free_port};

impl StackProcess {
    /// Sends a signal, such as `INT` for Ctrl-C.
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits until the process exits, and returns the time that this takes.
    #[allow(clippy::disallowed_methods, reason = "measures the end of another process")]
    fn wait(&mut self) -> Duration {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(20), "the process does not end");
            thread::sleep(Duration::from_millis(10));
        }
        began.elapsed()
    }
}

/// Sends half a request, and returns its open connection.
fn half_a_request(port: u16) -> TcpStream {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head =
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    connection.write_all(head.as_bytes()).unwrap();
    // Another request is answered only after the server has accepted the first connection.
    let mut other = TcpStream::connect(("127.0.0.1", port)).unwrap();
    other.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    connection
}

#[test]
fn a_signal_ends_an_idle_process_at_once() {
    for signal in ["INT", "TERM"] {
        let mut process = StackProcess::start(free_port(), None);
        process.signal(signal);
        assert!(process.wait() < Duration::from_secs(1), "{signal}");
        assert!(process.child.wait().unwrap().success());
    }
}

#[test]
fn a_signal_ends_the_process_within_two_seconds_while_a_request_is_half_sent() {
    for signal in ["INT", "TERM"] {
        let port = free_port();
        let mut process = StackProcess::start(port, None);
        let _open = (half_a_request(port), half_a_request(port));
        process.signal(signal);
        assert!(process.wait() < Duration::from_secs(2), "{signal}");
        assert!(process.child.wait().unwrap().success());
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let port = free_port();
    let mut process = StackProcess::start(port, None);
    let _open = half_a_request(port);
    process.signal("TERM");
    // Gives the process time to handle the first signal.
    thread::sleep(Duration::from_millis(100));
    process.signal("INT");
    assert!(process.wait() < Duration::from_millis(700));
}
