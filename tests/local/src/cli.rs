//! The command line of `cargo local`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is what this program talks to")]

mod check;
mod demo;
mod history;
mod requests;
mod serve;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::openapi;

/// Runs the whole system on this machine: an embedded DynamoDB, the functions behind one URL, and the stream.
#[derive(Debug, Parser)]
#[command(name = "cargo local", bin_name = "cargo local", version, args_conflicts_with_subcommands = true)]
struct LocalCli {
    #[command(flatten)]
    serve: serve::ServeOptions,
    #[command(subcommand)]
    command: Option<LocalCommand>,
}

/// What else can be done, with a system that runs or without.
#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// Prints a token, for a system that runs with --auth
    Token {
        /// Who it is for, such as alice
        #[arg(long)]
        sub: String,
        /// What it permits, such as "orders/write orders/read"
        #[arg(long)]
        scope: String,
        /// After how many seconds it expires; a token of yesterday has a negative number
        #[arg(long, default_value_t = 3600, allow_negative_numbers = true)]
        expires_in: i64,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Fills the system with orders of the last weeks
    Demo {
        /// How many
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        orders: u64,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Puts a running system under load, and holds what it did against what it promised
    #[command(after_help = check::AFTER_HELP)]
    Check {
        #[command(flatten)]
        options: check::CheckOptions,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Prints what happened to an order
    History {
        /// The order's id
        order: String,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Prints the API's description; `openapi.json` is what it printed last
    Openapi,
}

/// A system that runs.
#[derive(Debug, Args)]
struct SystemUrl {
    /// Where it is
    #[arg(long, default_value = "http://localhost:3000", value_parser = url)]
    url: String,
}

/// A URL, as far as one can tell without trying it.
fn url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| "it is not a URL")?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(_)) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("it must look like http://localhost:8000".to_owned()),
    }
}

/// Does what the command line asks for.
pub async fn main() -> ExitCode {
    // The SDK takes it for an error that a transport in the process has no connection to close.
    let levels = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("aws_smithy_runtime::client::http::connection_poisoning", LevelFilter::OFF)
        // A condition that fails is an answer like others.
        .with_target("dynoxide::server", LevelFilter::ERROR);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(levels)).init();
    let LocalCli { serve, command } = LocalCli::parse();
    let done = match command {
        None => serve::run(serve).await,
        Some(LocalCommand::Token { sub, scope, expires_in, system }) => {
            requests::token(&system.url, &sub, &scope, expires_in).await.map(|token| println!("{token}"))
        }
        Some(LocalCommand::Demo { orders, system }) => demo::run(&system.url, orders).await,
        Some(LocalCommand::Check { options, system }) => return check::run(&system.url, options).await,
        Some(LocalCommand::History { order, system }) => history::run(&system.url, &order).await,
        Some(LocalCommand::Openapi) => openapi::json().map(|json| print!("{json}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo local: {error}");
            ExitCode::FAILURE
        }
    }
}
