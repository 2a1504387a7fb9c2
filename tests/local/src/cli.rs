//! The command line `cargo local` of a project.
//!
//! ```ignore
//! fn main() -> ExitCode {
//!     local::cli::main(my_project::deployment())
//! }
//! ```
//!
//! [`main`] offers the commands of every project. [`main_with`] adds the project's own.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints to the terminal")]

mod clock;
mod history;
mod queues;
pub mod requests;
mod serve;

use std::{convert::Infallible, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    Deployment, asyncapi, openapi,
    public_events::{find, pretty},
};

/// Run the whole system on this machine: DynamoDB, the functions behind one URL, the stream, and messages
#[derive(Debug, Parser)]
#[command(name = "cargo local", bin_name = "cargo local", version, args_conflicts_with_subcommands = true)]
struct LocalCli<C: Subcommand> {
    #[command(flatten)]
    serve: serve::ServeOptions,
    #[command(subcommand)]
    command: Option<LocalCommand<C>>,
}

#[derive(Debug, Subcommand)]
enum LocalCommand<C: Subcommand> {
    /// Print a token for a system that runs with --auth
    Token {
        /// The subject of the token, for example alice
        #[arg(long)]
        sub: String,
        /// The scopes, separated by spaces
        #[arg(long)]
        scope: String,
        /// The lifetime in seconds; a negative number gives an expired token
        #[arg(long, default_value_t = 3600, allow_negative_numbers = true)]
        expires_in: i64,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Print the events of an aggregate as a timeline
    History {
        /// The id of the aggregate
        id: String,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Print the API description, the content of openapi.json
    Openapi,
    /// Send a message to a queue of the system
    Send {
        /// The logical id of the queue in the template
        #[arg(default_value = "CommandQueue")]
        queue: String,
        /// The file with the body of the message; - is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Print the number of messages in each queue, or the messages of one queue without receiving them
    Queues {
        /// The logical id of the queue in the template
        queue: Option<String>,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Wind the clock of the system forward, so that timers fire
    Wind {
        /// The duration, for example 90m, 2h or 3d
        #[arg(value_parser = clock::duration)]
        duration: Duration,
        #[command(flatten)]
        system: SystemUrl,
    },
    /// Print the description of the public events, the content of asyncapi.json
    Asyncapi,
    /// Print the JSON Schema of a public event, the content of its file in schemas/
    Schema {
        /// The type of the event, for example order.placed
        event_type: String,
    },
    /// Print an example of a public event in its envelope
    Sample {
        /// The type of the event, for example order.placed
        event_type: String,
    },
    #[command(flatten)]
    Own(C),
}

/// The option `--url` of commands that need a running system.
#[derive(Debug, Args)]
pub struct SystemUrl {
    /// The URL of the system
    #[arg(long, default_value = "http://localhost:3000", value_parser = url)]
    pub url: String,
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
pub fn main(deployment: Deployment) -> ExitCode {
    main_with(deployment, async |none: Infallible, _: &Deployment| match none {})
}

/// Like [`main`], with commands of the project. `run` runs them.
pub fn main_with<C: Subcommand>(
    deployment: Deployment,
    run: impl AsyncFnOnce(C, &Deployment) -> Result<ExitCode, String>,
) -> ExitCode {
    // The SDK logs an error because the in-process connector has no connection to close.
    let levels = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("aws_smithy_runtime::client::http::connection_poisoning", LevelFilter::OFF)
        // The server warns of each failed condition, which is a normal response.
        .with_target("dynoxide::server", LevelFilter::ERROR);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(levels)).init();
    let cli = LocalCli::parse();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string());
    let result = runtime.and_then(|runtime| {
        let result = runtime.block_on(execute(cli, &deployment, run));
        // A call of the engine that blocks must not keep the process alive after a signal.
        runtime.shutdown_timeout(Duration::from_millis(100));
        result
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cargo local: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn execute<C: Subcommand>(
    LocalCli { serve, command }: LocalCli<C>,
    deployment: &Deployment,
    run: impl AsyncFnOnce(C, &Deployment) -> Result<ExitCode, String>,
) -> Result<ExitCode, String> {
    match command {
        None => serve::run(deployment, serve).await?,
        Some(LocalCommand::Token { sub, scope, expires_in, system }) => {
            println!("{}", requests::token(&system.url, &sub, &scope, expires_in).await?);
        }
        Some(LocalCommand::History { id, system }) => history::run(deployment, &system.url, &id).await?,
        Some(LocalCommand::Openapi) => print!("{}", openapi::json(deployment).map_err(|error| error.to_string())?),
        Some(LocalCommand::Send { queue, file, system }) => queues::send(&system.url, &queue, &file).await?,
        Some(LocalCommand::Queues { queue: None, system }) => queues::list(&system.url).await?,
        Some(LocalCommand::Queues { queue: Some(queue), system }) => queues::show(&system.url, &queue).await?,
        Some(LocalCommand::Wind { duration, system }) => clock::wind(&system.url, duration).await?,
        Some(LocalCommand::Asyncapi) => print!("{}", asyncapi::json(deployment).map_err(|error| error.to_string())?),
        Some(LocalCommand::Schema { event_type }) => {
            let schema = find(deployment, &event_type).and_then(|found| pretty(&found.json_schema()));
            print!("{}", schema.map_err(|error| error.to_string())?);
        }
        Some(LocalCommand::Sample { event_type }) => {
            let sample = find(deployment, &event_type).and_then(|found| pretty(&found.example));
            print!("{}", sample.map_err(|error| error.to_string())?);
        }
        Some(LocalCommand::Own(command)) => return run(command, deployment).await,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_project_without_commands_of_its_own_has_the_common_ones() {
        let cli = LocalCli::<Infallible>::command();
        let common = ["token", "history", "openapi", "send", "queues", "wind", "asyncapi", "schema", "sample"];
        assert!(cli.get_subcommands().map(clap::Command::get_name).eq(common));
        cli.debug_assert();
        let parsed = LocalCli::<Infallible>::try_parse_from(["local", "history", "7"]).unwrap();
        assert!(matches!(parsed.command, Some(LocalCommand::History { id, .. }) if id == "7"));
        assert!(LocalCli::<Infallible>::try_parse_from(["local", "demo"]).is_err());
    }
}
