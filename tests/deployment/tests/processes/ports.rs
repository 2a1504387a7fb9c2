//! The ports of `cargo local`.

use std::{
    net::{Ipv6Addr, TcpListener, TcpStream},
    process::Command,
};

use super::{StackProcess, free_port};

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

#[test]
fn clients_that_resolve_localhost_to_either_address_find_the_system() {
    let port = free_port();
    let _process = StackProcess::start(port, None);
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    // A machine without IPv6 has no ::1.
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
    }
}
