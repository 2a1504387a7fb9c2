//! `cargo operate`: verify, rebuild and repair the read models of a running system.

use std::process::ExitCode;

use domain::Domains;

fn main() -> ExitCode {
    maintain::operate::main::<Domains>("«kebab»")
}
