//! The command line `cargo local`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints to the terminal")]

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

/// Run the whole system on this machine: DynamoDB, the functions behind one URL, and the stream
#[derive(Debug, Parser)]
#[command(name = "cargo local", bin_name = "cargo local", version, args_conflicts_with_subcommands = true)]
struct LocalCli {
    #[command(flatten)]
    serve: serve::ServeOptions,
    #[command(subcommand)]
    command: Option<LocalCommand>,
}

#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// Print a token for a system that runs with --auth
    Token {
        /// The subject of the token, for example alice
        #[arg(long)]
        sub: String,
        /// The scopes, separated by spaces, for example "orders/write orders/read"
        #[arg(long)]
        scope: String,
        /// The lifetime in seconds; a negative number gives an expired token
        #[arg(long, default_value_t = 3600, allow_negative_numbers = true)]
        expires_in: i64,
        #[command(flatten)]
        system: SystemUrl,
    },
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
    /// Print the events of an order as a timeline
    History {
        /// The id of the order
        order: String,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Print the API description, the content of openapi.json
    Openapi,
}

#[derive(Debug, Args)]
struct SystemUrl {
    /// The URL of the system
    #[arg(long, default_value = "http://localhost:3000", value_parser = url)]
    url: String,
}

/// Parses a URL with the scheme http or https. Removes trailing slashes.
fn url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| "not a URL")?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(_)) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("a URL like http://localhost:8000 is expected".to_owned()),
    }
}

/// Parses the arguments, runs the command, and prints its error to standard error.
pub async fn main() -> ExitCode {
    // The SDK logs an error because the in-process connector has no connection to close.
    let levels = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("aws_smithy_runtime::client::http::connection_poisoning", LevelFilter::OFF)
        // The server warns of each failed condition, which is a normal response.
        .with_target("dynoxide::server", LevelFilter::ERROR);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(levels)).init();
    let LocalCli { serve, command } = LocalCli::parse();
    let result = match command {
        None => serve::run(serve).await,
        Some(LocalCommand::Token { sub, scope, expires_in, system }) => {
            requests::token(&system.url, &sub, &scope, expires_in).await.map(|token| println!("{token}"))
        }
        Some(LocalCommand::Demo { orders, system }) => demo::run(&system.url, orders).await,
        Some(LocalCommand::Check { options, system }) => return check::run(&system.url, options).await,
        Some(LocalCommand::History { order, system }) => history::run(&system.url, &order).await,
        Some(LocalCommand::Openapi) => openapi::json().map(|json| print!("{json}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo local: {error}");
            ExitCode::FAILURE
        }
    }
}
