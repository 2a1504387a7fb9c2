//! The ports of `cargo local`.

use std::{net::TcpListener, process::Command};

#[test]
fn a_port_that_is_in_use_is_an_error_that_names_its_option() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (option, other) in [("--port", "--dynamodb-port"), ("--dynamodb-port", "--port")] {
        let output = Command::new(env!("CARGO_BIN_EXE_local")).args([option, &port, other, "0"]).output().unwrap();
        let expected = format!("cargo local: port {port} is in use. Choose another one with {option}.\n");
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()), (Some(1), expected));
    }
}
