//! `cargo local`: the whole system on this machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    local::cli::main(deployment::deployment())
}
