//! `cargo operate`: the operator's command line, for a local system or one on AWS.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is what this program talks to")]

mod checkpoint_file;
mod commands;
mod target;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::target::Target;

/// Looks after the read models of a system that runs.
///
/// Without --dynamodb it works on AWS, with the region, the credentials and the names of the tables in the environment:
/// AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, EVENTS_TABLE, ORDER_SUMMARIES_TABLE,
/// DASHBOARD_TABLE. `aws configure export-credentials --format env` prints the credentials.
#[derive(Debug, Parser)]
#[command(name = "cargo operate", bin_name = "cargo operate", version, after_help = EXAMPLES)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    tables: Target,
    /// Print one line of JSON instead of words
    #[arg(long, global = true)]
    json: bool,
}

const EXAMPLES: &str = "Examples:
  cargo operate verify --dynamodb http://localhost:8000
  cargo operate verify --segment 3/100          a hundredth of all orders
  cargo operate rebuild --segments 8 --checkpoint rebuild.json
  cargo operate parked --json
  cargo operate redrive --dry-run
  cargo operate sweep data/on-failure.jsonl --dynamodb http://localhost:8000
  cargo operate history 27debfb8-bd42-8131-9d45-532727018fe6";

#[derive(Debug, Subcommand)]
enum Command {
    /// Hold views and counters against the events, byte for byte; exit code 1 if something is wrong
    Verify {
        #[command(flatten)]
        part: Part,
        /// For how many seconds a view may lack a commit
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        patience: i64,
    },
    /// Catch up all streams in place, while the system is live; views of an older schema are folded anew
    Rebuild {
        #[command(flatten)]
        part: Part,
        /// Keep in this file how far it is, and go on from there if it is there and of this very rebuild
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Say what would be written, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List the streams that are parked, and why
    Parked,
    /// Try parked streams again, after the mend; all of them, or those of these orders
    Redrive {
        /// The ids of the orders; none for all that are parked
        orders: Vec<String>,
        /// Say what would be tried, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Catch up the orders of batches that the projector gave up
    Sweep {
        /// Messages of the on-failure queue, a line of JSON each, or as `aws sqs receive-message` prints them; - is
        /// standard input
        messages: PathBuf,
        /// Say what would be caught up, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Print what happened to an order, as it is stored
    History {
        /// The order's id
        order: String,
    },
}

/// Which part of all streams.
#[derive(Debug, Args)]
struct Part {
    /// In how many segments, side by side
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with = "segment")]
    segments: u16,
    /// One segment alone, such as 3/100: for a sample, or for one of several machines
    #[arg(long, value_name = "I/N", value_parser = target::segment)]
    segment: Option<cqrs_dynamodb::Segment>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let CommandLine { command, tables, json } = CommandLine::parse();
    let done = match tables.app() {
        Ok(app) => commands::run(&app, command, json).await,
        Err(trouble) => Err(trouble),
    };
    match done {
        Ok(code) => code,
        Err(trouble) => {
            eprintln!("cargo operate: {trouble}");
            ExitCode::from(2)
        }
    }
}
