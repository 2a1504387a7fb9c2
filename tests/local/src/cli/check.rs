//! `cargo local check`: does a running system keep its promises?

use std::{process::ExitCode, time::Duration};

use clap::Args;
use cqrs_dynamodb::Environment;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;

use super::requests;
use crate::{
    authorizer::OPERATOR_SCOPES,
    check::{Api, Load, Summary, check},
};

/// What the help ends with.
pub(super) const AFTER_HELP: &str = "\
Any system will do, with data in it or without: each run has customers and keys of its own, and leaves its orders
behind. The load places, ships, delivers and cancels; some commands are sent again under their key, some that got no
answer are left at that, and reads in between ask for what was acknowledged. In the end each order's history is held
against what the clients were told: what was acknowledged stands there once, what was refused does not, what got no
answer stands there once at most; commands stand in their order; reads were not stale; lists and orders come to what
the history says.

The exit code is 1 if a promise was broken, and 2 if that cannot be told.";

#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    /// How many clients there are
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    clients: u64,
    /// How long they are at it
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// What the clients do is drawn from this
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seconds the read models may take to catch up; with 0 they are not looked at
    #[arg(long, default_value_t = 60)]
    patience: u32,
    /// A bearer token with the scope orders/admin, good for the whole run; the local stack gives one by itself
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
        // Longer than the run can take.
        None => requests::token(url, "check", OPERATOR_SCOPES, i64::from(options.seconds) + 86_400).await?,
    };
    let api = Api::new(url, token)?;
    api.ping().await?;
    let load = Load::new(api, Environment::system(), options.clients, options.seed);

    let seconds = SignedDuration::from_secs(options.seconds.into());
    let patience = SignedDuration::from_secs(options.patience.into());
    let began = load.environment.now();
    let progress = ProgressBar::new(options.seconds.into()).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} s  {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    progress.enable_steady_tick(Duration::from_millis(200));
    let should_continue = || {
        let past = load.environment.now().duration_since(began);
        progress.set_position(u64::try_from(past.as_secs()).unwrap_or_default());
        progress.set_message(format!("{} commands acknowledged", load.acknowledged()));
        past < seconds
    };
    let summary = check(&load, should_continue, patience).await;
    progress.finish_and_clear();
    summary
}
