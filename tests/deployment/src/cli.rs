//! `cargo local` of the order service: the commands of every project, and `demo` and `check`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints to the terminal")]

mod check;
mod demo;

use std::process::ExitCode;

use clap::Subcommand;
use local::cli::SystemUrl;

use crate::deployment;

#[derive(Debug, Subcommand)]
enum OrderCommands {
    /// Fill a running system with orders of the last four weeks
    Demo {
        /// The number of orders
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        orders: u64,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Put a running system under load, and check its promises
    #[command(after_help = check::AFTER_HELP)]
    Check {
        #[command(flatten)]
        options: check::CheckOptions,
        #[command(flatten)]
        system: SystemUrl,
    },
}

/// Parses the arguments, runs the command, and prints its error to standard error.
pub fn main() -> ExitCode {
    local::cli::main_with(deployment(), async |command, deployment| match command {
        OrderCommands::Demo { orders, system } => {
            demo::run(deployment, &system.url, orders).await.map(|()| ExitCode::SUCCESS)
        }
        OrderCommands::Check { options, system } => Ok(check::run(&system.url, options).await),
    })
}
