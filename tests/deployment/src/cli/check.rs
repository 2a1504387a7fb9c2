//! `cargo local check`: checks the promises of a running system under load.

use std::{process::ExitCode, sync::Arc, time::Duration};

use check::{Api, Load, Summary, check};
use clap::Args;
use cqrs_dynamodb::Environment;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use local::cli::requests;

use crate::{OrderWorkload, deployment};

pub(super) const AFTER_HELP: &str = "\
The system may contain other data: each run uses its own customers and keys, and leaves its orders behind. The clients
place, ship, deliver and cancel orders, repeat some commands with their keys, abandon some commands without an answer,
and read the changed orders. After the load, the check compares the history of each order with the replies: an
acknowledged command is in the history exactly once, a refused command is not in it, and a command without an answer
is in it at most once. Commands are in the order in which they were executed, no read was stale, and lists and single
orders agree with the history.

The exit code is 1 if a promise was broken, and 2 if the check itself failed.";

#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    /// The number of concurrent clients
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    clients: u64,
    /// The duration of the load in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Determines the actions of the clients
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The seconds that the views may take to catch up after the load; 0 skips the views
    #[arg(long, default_value_t = 60)]
    patience: u32,
    /// A bearer token with the scope orders/admin, valid for the whole run; the local issuer gives one by default
    #[arg(long, env = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(url: &str, options: CheckOptions) -> ExitCode {
    let json = options.json;
    match run_check(url, options).await {
        Ok(summary) => {
            match serde_json::to_string_pretty(&summary) {
                Ok(document) if json => println!("{document}"),
                Ok(_) | Err(_) => println!("{summary}"),
            }
            if summary.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("cargo local check: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run_check(url: &str, options: CheckOptions) -> Result<Summary, String> {
    let token = match options.token {
        Some(token) => token,
        // One day more than the load: the check after it takes time, too.
        None => {
            requests::token(url, "check", &deployment().operator_scopes(), i64::from(options.seconds) + 86_400).await?
        }
    };
    let environment = Environment::system();
    let (run, now) = (format!("{:08x}", environment.random_below(1 << 32)), environment.clone());
    let clock = Arc::new(move || now.now());
    let load = Load::new(Api::new(url, token)?, OrderWorkload, clock, run, options.clients, options.seed);
    load.ping().await?;

    let seconds = SignedDuration::from_secs(options.seconds.into());
    let patience = SignedDuration::from_secs(options.patience.into());
    let began = environment.now();
    let progress = ProgressBar::new(options.seconds.into()).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} s  {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    progress.enable_steady_tick(Duration::from_millis(200));
    let should_continue = || {
        let elapsed = environment.now().duration_since(began);
        progress.set_position(u64::try_from(elapsed.as_secs()).unwrap_or_default());
        progress.set_message(format!("{} commands acknowledged", load.acknowledged()));
        elapsed < seconds
    };
    let summary = check(&load, should_continue, patience).await;
    progress.finish_and_clear();
    summary
}
