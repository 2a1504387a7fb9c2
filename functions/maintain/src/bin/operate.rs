//! `cargo operate` of this repository.

use std::process::ExitCode;

use domains::{DEFAULT_CATEGORY, Domains};

fn main() -> ExitCode {
    maintain::operate::main::<Domains>(DEFAULT_CATEGORY)
}
