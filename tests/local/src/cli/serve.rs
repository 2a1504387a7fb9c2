//! `cargo local`: serves the system until Ctrl-C.

use std::{
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use cqrs_dynamodb::Environment;
use tokio::net::TcpListener;

use crate::{Engine, Stack, Template, authorizer::Authorizer, chaos::Chaos, event_source_mapping::files::MappingFiles};

/// How many shards the stream of a table that is not old has.
const SHARDS: usize = 4;

#[derive(Debug, Args)]
pub(super) struct ServeOptions {
    /// The port to serve the API on
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The address to serve on; `0.0.0.0` lets containers in, and everybody else
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Use the DynamoDB at this URL (such as Amazon DynamoDB Local at http://localhost:8000), not the embedded one
    #[arg(long, value_name = "URL", value_parser = super::url)]
    dynamodb: Option<String>,
    /// Send requests and stream batches to the functions behind this Lambda Invoke API (`cargo lambda watch` at
    /// http://localhost:9000, `sam local start-lambda` at http://localhost:3001), not to those in this process
    #[arg(long, value_name = "URL", value_parser = super::url, conflicts_with = "chaos")]
    lambda: Option<String>,
    /// Whether the projector keeps the read models up to date
    #[arg(long, value_name = "on|off", default_value = "on")]
    projector: OnOff,
    /// Let no request pass without a token; see `cargo local token`
    #[arg(long)]
    auth: bool,
    /// Keep all data in this directory, and find it again
    #[arg(long, value_name = "DIR", conflicts_with = "dynamodb")]
    data: Option<PathBuf>,
    /// Do to the functions what the stream and the tables may do, and more often; the same seed does the same
    #[arg(long, value_name = "SEED")]
    chaos: Option<u64>,
    /// The template to run, if not the one of this repository
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml"), hide_default_value = true)]
    template: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

pub(super) async fn run(options: ServeOptions) -> Result<(), String> {
    let template = Template::read(&options.template).map_err(|error| format!("{error}. See --template."))?;
    let listener = listen(options.listen, options.port).await?;
    let chaos = options.chaos.map(|seed| Arc::new(Chaos::new(seed)));
    let direct = engine(&options)?;
    let engine = chaos.iter().fold(direct.clone(), |engine, chaos| engine.with_interceptor(chaos.clone()));
    let authorizer = authorizer(options.data.as_deref())?.required(options.auth);
    let stack = Stack::start(template, engine, authorizer, Environment::system(), "").await;
    let stack = stack.map_err(|error| error.to_string())?;
    let stack = options.lambda.iter().fold(stack, |stack, url| stack.with_functions_at(url));

    let endpoint = serve_engine(&direct, options.listen).await?;
    if options.projector == OnOff::On {
        let files = options.data.clone().map_or_else(MappingFiles::discarded_only, MappingFiles::in_directory);
        for mapping in stack.event_source_mappings() {
            let mapping = mapping.with_shards(SHARDS).with_files(files.clone());
            tokio::spawn(chaos.iter().fold(mapping, |mapping, chaos| mapping.with_chaos(chaos.clone())).run());
        }
    }
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    print_line(&startup_message(&stack, address.port(), &endpoint, &options));
    axum::serve(listener, stack.gateway(&endpoint).into_router())
        .with_graceful_shutdown(shutdown_signal())
        .await
        .map_err(|error| error.to_string())?;
    chaos.iter().for_each(|chaos| print_line(&chaos.report()));
    print_line("Ended.");
    Ok(())
}

fn engine(options: &ServeOptions) -> Result<Engine, String> {
    match (&options.dynamodb, &options.data) {
        (Some(url), _) => Ok(Engine::remote(url)),
        (None, Some(directory)) => Engine::embedded_in(directory),
        (None, None) => Engine::embedded(),
    }
}

/// The issuer, whose key is kept where all data is: tokens outlive a restart as orders do.
fn authorizer(data: Option<&Path>) -> Result<Authorizer, String> {
    match data {
        Some(directory) => Authorizer::with_key_file(&directory.join("issuer.key")),
        None => Authorizer::new(),
    }
}

async fn listen(address: IpAddr, port: u16) -> Result<TcpListener, String> {
    TcpListener::bind((address, port)).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("port {port} is in use. Choose another one with --port."),
        _ => format!("port {port} cannot be served: {error}. Choose another one with --port."),
    })
}

/// Serves the embedded engine for others to look at, on the port of DynamoDB Local or on any that is free.
async fn serve_engine(engine: &Engine, address: IpAddr) -> Result<String, String> {
    if !engine.is_embedded() {
        return Ok(engine.endpoint().to_owned());
    }
    let listener = match listen(address, 8000).await {
        Ok(listener) => listener,
        Err(_) => listen(address, 0).await?,
    };
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let engine = engine.clone();
    tokio::spawn(async move { engine.serve(listener).await });
    Ok(format!("http://{address}"))
}

/// What is there, and what to try.
fn startup_message(stack: &Stack, port: u16, endpoint: &str, options: &ServeOptions) -> String {
    let is_local = options.listen.is_loopback() || options.listen.is_unspecified();
    let host = if is_local { "localhost".to_owned() } else { options.listen.to_string() };
    let url = format!("http://{host}:{port}");
    let mut lines = vec![format!("Orders are served at {url}, and DynamoDB at {endpoint}.")];
    if let Some(lambda) = &options.lambda {
        lines.push(format!("The functions are those at {lambda}. Their AWS_ENDPOINT_URL_DYNAMODB must be {endpoint}."));
    }
    if options.projector == OnOff::Off {
        lines.push("The projector is off: read models stay as they are, and reads fold in what they lack.".to_owned());
    }
    if let Some(seed) = options.chaos {
        lines.push(format!("Chaos {seed} is at work: calls fail, and the stream does what it likes."));
    }
    lines.push(String::new());
    let mut routes: Vec<_> = stack.template.functions.values().flat_map(|function| &function.routes).collect();
    routes.sort_by_key(|route| (&route.path, &route.method));
    lines.extend(routes.into_iter().map(|route| format!("  {:4} {}", route.method, route.path)));
    lines.push(String::new());
    lines.push(format!("They are described at {url}/docs, to be tried in a browser.\n"));
    let authorization = if options.auth {
        lines.push("No request passes without a token. Try:\n".to_owned());
        let token = "cargo local token --sub alice --scope 'orders/write orders/read'";
        lines.push(format!("  TOKEN=$({token} --url {url})"));
        " -H \"Authorization: Bearer $TOKEN\""
    } else {
        lines.push("Requests without a token act as an operator with all scopes. Try:\n".to_owned());
        ""
    };
    lines.push(format!(
        r#"  curl -i {url}/orders{authorization} -H 'Content-Type: application/json' -H 'Idempotency-Key: first' -d '{{
    "customer_id": "alice", "currency": "EUR", "shipping_address": "1 Main Street, Springfield",
    "items": [{{"sku": "BOOK-1", "quantity": 2, "unit_price": 1250}}]}}'
"#
    ));
    lines.push(match &options.data {
        Some(directory) => format!("Ctrl-C ends it; its data stays in {}.", directory.display()),
        None => "Ctrl-C ends it, and all data with it.".to_owned(),
    });
    lines.join("\n")
}

/// Prints a line, whether somebody listens or not.
fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Waits for Ctrl-C or a request to terminate.
async fn shutdown_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
