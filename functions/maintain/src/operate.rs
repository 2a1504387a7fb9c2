//! `cargo operate` of a project: the operator's command line, for a local system or one on AWS.
//!
//! ```ignore
//! fn main() -> ExitCode {
//!     maintain::operate::main::<MyDomains>("order")
//! }
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line writes to the terminal")]

mod checkpoint_file;
mod commands;
mod target;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use cqrs::Domain;
use cqrs_dynamodb::Segment;
use jiff::Timestamp;
use tokio::runtime::Builder;

use self::{commands::CliError, target::Target};

/// Verify, rebuild and repair the read models of a live system
///
/// Without --dynamodb, the system is on AWS. The region, the credentials and the table names come from the environment:
/// AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, and a variable for each table, such as
/// EVENTS_TABLE. `aws configure export-credentials --format env` prints the credentials.
///
/// Exits with 2 if a command fails to run.
#[derive(Debug, Parser)]
#[command(name = "cargo operate", bin_name = "cargo operate", version, after_help = EXAMPLES)]
struct OperateCli {
    #[command(subcommand)]
    command: OperateCommand,
    #[command(flatten)]
    target: Target,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
}

const EXAMPLES: &str = "Examples:
  cargo operate verify --dynamodb http://localhost:8000
  cargo operate verify --segment 3/100          # a sample of about 1 %
  cargo operate rebuild --segments 8 --checkpoint rebuild.json
  cargo operate parked --json
  cargo operate redrive --dry-run
  cargo operate republish --since 2026-11-27T10:00:00Z --bus arn:aws:events:…
  cargo operate sweep data/on-failure.jsonl --dynamodb http://localhost:8000
  cargo operate history 27debfb8-bd42-8131-9d45-532727018fe6";

#[derive(Debug, Subcommand)]
enum OperateCommand {
    /// Check the events, and compare views and counters with them; exit with 1 if something is wrong
    ///
    /// Reports streams with a changed, replaced or removed commit, defective or late views, and counters that differ
    /// from their sum. The counters are compared only if all segments are verified and nothing is written meanwhile.
    ///
    /// The digest of the heads changes if any stream is cut off at its end or rewritten. Keep it with its time, outside
    /// of the system, and verify with --heads-at later.
    Verify {
        #[command(flatten)]
        segments: SegmentArgs,
        /// Allow a view to be behind for this long before it counts as late
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        patience: i64,
        /// Compute the digest of the heads as of this time, such as 2026-11-27T10:00:00Z [default: five minutes ago]
        #[arg(long, value_name = "TIME")]
        heads_at: Option<Timestamp>,
    },
    /// Catch up all streams in place
    ///
    /// Folds views of an older schema version anew, and adds missing commits to the others. After a restore of the
    /// events, also folds anew the views of replaced commits, and removes views whose stream has no commits.
    /// Exits with 1 if a stream was not caught up.
    Rebuild {
        #[command(flatten)]
        segments: SegmentArgs,
        /// Save progress to this file, and resume from it if it exists
        ///
        /// Only for the same system and the same schema versions. The file is removed after a rebuild without failures.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Count the views that are defective or behind; write nothing
        #[arg(long)]
        dry_run: bool,
        /// Also rebuild the counters into a new generation, and serve it after a comparison
        ///
        /// Also retries parked streams. Waits 75 seconds first, so that all writers know the new generation. Exits with
        /// 1 if it is not served; the next rebuild continues.
        #[arg(long, conflicts_with_all = ["dry_run", "segment"])]
        counters: bool,
    },
    /// List the parked streams
    Parked,
    /// Retry parked streams after a fix
    ///
    /// Exits with 1 if a stream is still parked, was not caught up, or has no projection.
    Redrive {
        /// Ids or stream ids to catch up, parked or not [default: all that are parked]
        #[arg(value_name = "STREAM")]
        streams: Vec<String>,
        /// List the streams that would be caught up; write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Catch up the streams of batches that Lambda discarded
    ///
    /// Exits with 1 if a stream is parked, was not caught up, or has no projection.
    Sweep {
        /// A file with messages of the on-failure queue, or - for standard input
        ///
        /// One message in JSON per line, or the output of `aws sqs receive-message`.
        messages: PathBuf,
        /// List the streams that would be caught up; write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Publish events again, for a consumer that has lost them or is new
    ///
    /// Sends the public events of these streams to a bus, in the order of each stream. The positions of the publisher do
    /// not move. A consumer recognizes an event that it knows by its id. The bus and the source come from the environment
    /// variables EVENT_BUS and EVENT_SOURCE. Exits with 1 if an event was not sent.
    Republish {
        /// Ids or stream ids
        #[arg(value_name = "STREAM", required_unless_present = "all")]
        streams: Vec<String>,
        /// All streams
        #[arg(long, conflicts_with = "streams")]
        all: bool,
        /// From this version of each stream
        #[arg(long, value_name = "VERSION", conflicts_with = "since", value_parser = clap::value_parser!(u64).range(1..))]
        from_version: Option<u64>,
        /// Events that were recorded at this time or later, such as 2026-11-27T10:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// The name or the ARN of another bus
        #[arg(long, value_name = "BUS")]
        bus: Option<String>,
    },
    /// Print the commits of a stream
    ///
    /// Exits with 1 if the stream has none.
    History {
        /// An id, or a stream id such as order#27debfb8-bd42-8131-9d45-532727018fe6
        stream: String,
    },
}

#[derive(Debug, Args)]
struct SegmentArgs {
    /// Scan this many segments in parallel
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u16).range(1..=1000),
        conflicts_with = "segment"
    )]
    segments: u16,
    /// Scan one segment only, as a sample or on one of several machines
    #[arg(long, value_name = "I/N", value_parser = target::segment)]
    segment: Option<Segment>,
}

/// Parses the arguments and runs the command on the read models of `D`. A stream id without a category gets
/// `default_category`.
pub fn main<D: Domain>(default_category: &str) -> ExitCode {
    let cli = OperateCli::parse();
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string());
    match runtime.and_then(|runtime| runtime.block_on(execute::<D>(cli, default_category))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cargo operate: {error}");
            ExitCode::from(2)
        }
    }
}

async fn execute<D: Domain>(cli: OperateCli, default_category: &str) -> Result<ExitCode, CliError> {
    let OperateCli { command, target, json } = cli;
    commands::run::<D>(&target.app::<D>()?, command, default_category, json).await
}
