//! `cargo scaffold`: writes a complete project on this toolkit into a new directory.
//!
//! 1. [`names`]: the names of the aggregate and the view, in the spellings that code, paths and texts need.
//! 2. [`template`]: the files, with placeholders for the names.
//! 3. [`project`]: fills in the placeholders and writes the files.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line writes to the terminal")]

mod names;
mod project;
mod template;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::{
    names::Names,
    project::{Project, Toolkit},
};

/// Write a complete project on this toolkit: domain, functions, template, tests
///
/// Needs no network. The directory must be empty or must not exist.
#[derive(Debug, Parser)]
#[command(name = "cargo scaffold", bin_name = "cargo scaffold", after_help = EXAMPLES)]
struct ScaffoldCli {
    /// The directory of the new project
    directory: PathBuf,
    /// The aggregate: a noun in lower case, with dashes between words
    #[arg(long, value_name = "NOUN")]
    aggregate: String,
    /// The view of the aggregate: a plural in lower case, with dashes between words [default: the noun and `-summaries`]
    #[arg(long, value_name = "PLURAL")]
    view: Option<String>,
    /// The toolkit that the project depends on: a path, or the URL of a git repository [default: this repository]
    #[arg(long, value_name = "PATH|URL")]
    toolkit: Option<String>,
}

const EXAMPLES: &str = "Examples:
  cargo scaffold ../library --aggregate loan
  cargo scaffold ../shop --aggregate gift-card --view gift-card-balances
  cargo scaffold ../shop --aggregate voucher --toolkit https://git.example.com/toolkit";

fn main() -> ExitCode {
    match run(ScaffoldCli::parse()) {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cargo scaffold: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the project. Returns the message for the terminal.
fn run(cli: ScaffoldCli) -> Result<String, String> {
    let names = Names::new(&cli.aggregate, cli.view.as_deref())?;
    let toolkit = Toolkit::new(cli.toolkit.as_deref())?;
    let project = Project { names, toolkit };
    let files = project.write(&cli.directory)?;
    let directory = cli.directory.display();
    Ok(format!("{directory}: {files} files. Next:\n\n  cd {directory}\n  cargo local\n  cargo test"))
}
