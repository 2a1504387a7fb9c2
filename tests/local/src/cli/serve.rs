//! `cargo local` without a command: serves the system until Ctrl-C.

mod events;
mod listen;
mod shutdown;
mod startup_message;

use std::{
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, ValueEnum};
use cqrs_dynamodb::Environment;
use futures_util::future::{join_all, try_join_all};

use self::{
    listen::{Listeners, listen},
    shutdown::Shutdown,
};
use crate::{
    Deployment, Engine, Stack, Template,
    authorizer::Authorizer,
    chaos::Chaos,
    clock::StackClock,
    event_source_mapping::files::MappingFiles,
    messaging::{emulator::MessagingEmulator, store::MessagingStore},
};

/// The number of virtual shards of the stream, about that of a new table on AWS.
const SHARDS: usize = 4;
/// The function that `--projector off` stops.
const PROJECTOR: &str = "projector";
/// The port of DynamoDB in the configuration of `cargo lambda watch`, and that of DynamoDB Local.
const DYNAMODB_PORT: u16 = 8000;

#[derive(Debug, Args)]
pub(super) struct ServeOptions {
    /// The port of the API; 0 is any free port
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The address of the API and of the embedded DynamoDB; 0.0.0.0 accepts connections from all machines. The default
    /// is localhost: 127.0.0.1, and ::1 if the machine has it
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<IpAddr>,
    /// Use the DynamoDB at this URL, for example Amazon DynamoDB Local at http://localhost:8000, not the embedded one
    #[arg(long, value_name = "URL", value_parser = super::url)]
    dynamodb: Option<String>,
    /// The port of the embedded DynamoDB; 0 is any free port. The default is 8000, or any free port if 8000 is in use
    #[arg(long, value_name = "PORT", conflicts_with = "dynamodb")]
    dynamodb_port: Option<u16>,
    /// Invoke the functions behind this Lambda Invoke API (`cargo lambda watch` at http://localhost:9000,
    /// `sam local start-lambda` at http://localhost:3001) instead of those in this process
    #[arg(long, value_name = "URL", value_parser = super::url, conflicts_with = "chaos")]
    lambda: Option<String>,
    /// Run or stop the projector, which updates the views
    #[arg(long, value_name = "on|off", default_value = "on")]
    projector: OnOff,
    /// Refuse requests without a token; see `cargo local token`
    #[arg(long)]
    auth: bool,
    /// Keep all data in this directory, and continue with it after a restart
    #[arg(long, value_name = "DIR", conflicts_with = "dynamodb")]
    data: Option<PathBuf>,
    /// Inject faults into the stream, the queues and the calls to AWS; the same seed gives the same faults
    #[arg(long, value_name = "SEED")]
    chaos: Option<u64>,
    /// Write each event that is put on the event bus to this file, as a line of JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// The SAM template to run; the one of the project by default
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

pub(super) async fn run(deployment: &Deployment, options: ServeOptions) -> Result<(), String> {
    let template = options.template.as_deref().unwrap_or(&deployment.template);
    let template = Template::read(template).map_err(|error| format!("{error}. See --template."))?;
    let listeners = listen(options.listen, options.port, "--port").await?;
    let chaos = options.chaos.map(|seed| Arc::new(Chaos::new(seed, &template)));
    let emulator = MessagingEmulator::from_variables(|name| std::env::var(name).ok())?;
    let direct = engine(&options)?.with_messaging(emulator);
    let engine = chaos.iter().fold(direct.clone(), |engine, chaos| engine.with_interceptor(chaos.clone()));
    let authorizer = authorizer(options.data.as_deref())?.required(options.auth);
    let clock = clock(options.data.as_deref())?;
    let stack = Stack::start(deployment.clone(), template, engine, authorizer, clock.environment(), "").await;
    let stack = stack.map_err(|error| error.to_string())?.with_clock(clock);
    let stack = options.lambda.iter().fold(stack, |stack, url| stack.with_functions_at(url));

    let endpoint = serve_engine(&direct, &options).await?;
    options.events.iter().try_for_each(|file| events::write_events(&stack, file))?;
    let files = options.data.clone().map_or_else(MappingFiles::discarded_only, MappingFiles::in_directory);
    for mapping in stack.event_source_mappings() {
        if options.projector == OnOff::Off && mapping.name() == PROJECTOR {
            continue;
        }
        let files = files.clone().of_function(mapping.name());
        let mapping = mapping.with_shards(SHARDS).with_files(files).with_stream_environment(Environment::system());
        tokio::spawn(chaos.iter().fold(mapping, |mapping, chaos| mapping.with_chaos(chaos.clone())).run());
    }
    for mapping in stack.queue_mappings() {
        tokio::spawn(chaos.iter().fold(mapping, |mapping, chaos| mapping.with_chaos(chaos.clone())).run());
    }
    stack.scheduled_functions().into_iter().for_each(|scheduled| drop(tokio::spawn(scheduled.run())));
    // Before this line, a signal ends the process at once.
    let shutdown = Shutdown::on_signals().map_err(|error| error.to_string())?;
    print_line(&startup_message::text(&stack, listeners.address.port(), &endpoint, &options));
    let router = stack.gateway(&endpoint).into_router();
    let serve = listeners.sockets.into_iter().map(|listener| {
        axum::serve(listener, router.clone()).with_graceful_shutdown(shutdown.first_signal()).into_future()
    });
    tokio::select! {
        served = try_join_all(serve) => { served.map_err(|error| error.to_string())?; }
        () = shutdown.deadline() => {}
    }
    chaos.iter().for_each(|chaos| print_line(&chaos.report()));
    print_line("Stopped.");
    Ok(())
}

/// The clock of the functions. It is ahead of that of the machine by the time by which it was wound.
fn clock(data: Option<&Path>) -> Result<StackClock, String> {
    let ahead = data.map_or(Ok(Duration::ZERO), |directory| MessagingStore::open(directory)?.clock())?;
    Ok(StackClock::new(Environment::system(), ahead))
}

fn engine(options: &ServeOptions) -> Result<Engine, String> {
    match (&options.dynamodb, &options.data) {
        (Some(url), _) => Ok(Engine::remote(url)),
        (None, Some(directory)) => Engine::embedded_in(directory),
        (None, None) => Engine::embedded(),
    }
}

/// The token issuer. Its key is kept with the data, so that tokens stay valid after a restart.
fn authorizer(data: Option<&Path>) -> Result<Authorizer, String> {
    match data {
        Some(directory) => Authorizer::with_key_file(&directory.join("issuer.key")),
        None => Authorizer::new(),
    }
}

/// Serves the embedded engine for other tools. Returns the URL.
async fn serve_engine(engine: &Engine, options: &ServeOptions) -> Result<String, String> {
    if !engine.is_embedded() {
        return Ok(engine.endpoint().to_owned());
    }
    let listen = |port| listen(options.listen, port, "--dynamodb-port");
    let Listeners { address, sockets } = match options.dynamodb_port {
        Some(port) => listen(port).await?,
        None => match listen(DYNAMODB_PORT).await {
            Ok(listeners) => listeners,
            Err(_) => listen(0).await?,
        },
    };
    let engine = engine.clone();
    tokio::spawn(async move { join_all(sockets.into_iter().map(|listener| engine.serve(listener))).await });
    Ok(format!("http://{address}"))
}

/// Prints a line. Ignores a closed pipe, which `println!` would panic on.
fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
