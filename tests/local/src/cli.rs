//! The command line of `cargo local`.

#![allow(clippy::print_stdout, reason = "the terminal is what this program talks to")]

use std::{net::Ipv4Addr, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use cqrs_dynamodb::Ambient;
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

use crate::{Engine, Stack, Template};

/// Runs the whole system on this machine: an embedded DynamoDB, the functions behind one URL, and the stream.
#[derive(Debug, Parser)]
#[command(name = "cargo local", bin_name = "cargo local", version)]
struct Options {
    /// The port to serve the API on
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Use the DynamoDB at this URL (such as Amazon DynamoDB Local at http://localhost:8000), not the embedded one
    #[arg(long, value_name = "URL", value_parser = url)]
    dynamodb: Option<String>,
    /// Whether the projector keeps the read models up to date
    #[arg(long, value_name = "on|off", default_value = "on")]
    projector: Switch,
    /// The template to run, if not the one of this repository
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml"), hide_default_value = true)]
    template: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

fn url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| "it is not a URL")?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(_)) => Ok(text.to_owned()),
        _ => Err("it must look like http://localhost:8000".to_owned()),
    }
}

/// Runs what the command line asks for, until Ctrl-C.
pub async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(std::io::stderr).init();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("cargo local: {trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    let template = Template::read(&options.template).map_err(|error| format!("{error}. See --template."))?;
    let listener = listen(options.port).await?;
    let engine = match options.dynamodb {
        Some(url) => Engine::Elsewhere(url),
        None => Engine::embedded()?,
    };
    let stack = Stack::start(template, engine, Ambient::system(), "").await.map_err(|error| error.to_string())?;

    let endpoint = serve_engine(stack.engine()).await?;
    if options.projector == Switch::On {
        for pump in stack.pumps() {
            tokio::spawn(pump.run());
        }
    }
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    welcome(&stack, address.port(), &endpoint, options.projector);
    axum::serve(listener, stack.gateway().into_router())
        .with_graceful_shutdown(interrupted())
        .await
        .map_err(|error| error.to_string())?;
    println!("Ended.");
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("port {port} is in use. Choose another one with --port."),
        _ => format!("port {port} cannot be served: {error}. Choose another one with --port."),
    })
}

/// Serves the embedded engine for others to look at, on the port of DynamoDB Local or on any that is free.
async fn serve_engine(engine: &Engine) -> Result<String, String> {
    if let Engine::Elsewhere(url) = engine {
        return Ok(url.clone());
    }
    let listener = match listen(8000).await {
        Ok(listener) => listener,
        Err(_) => listen(0).await?,
    };
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let engine = engine.clone();
    tokio::spawn(async move { engine.serve(listener).await });
    Ok(format!("http://{address}"))
}

fn welcome(stack: &Stack, port: u16, endpoint: &str, projector: Switch) {
    let url = format!("http://localhost:{port}");
    println!("Orders are served at {url}, and DynamoDB at {endpoint}.");
    if projector == Switch::Off {
        println!("The projector is off: read models stay as they are, and reads fold in what they lack.");
    }
    println!();
    let mut routes: Vec<_> = stack.template.functions.values().flat_map(|function| &function.routes).collect();
    routes.sort_by_key(|route| (&route.path, &route.method));
    for route in routes {
        println!("  {:4} {}", route.method, route.path);
    }
    println!();
    println!("Requests without a token act as an operator with all scopes. Try:");
    println!();
    println!("  curl -i {url}/orders -H 'Content-Type: application/json' -H 'Idempotency-Key: first' -d '{{");
    println!(
        "    \"customer_id\": \"alice\", \"currency\": \"EUR\", \"shipping_address\": \"1 Main Street, Springfield\","
    );
    println!("    \"items\": [{{\"sku\": \"BOOK-1\", \"quantity\": 2, \"unit_price\": 1250}}]}}'");
    println!();
    println!("Ctrl-C ends it, and all data with it.");
}

/// Waits for Ctrl-C or a request to terminate.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
