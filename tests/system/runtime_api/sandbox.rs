//! A Lambda execution environment: the binary of a function in a child process, with a Runtime API.

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::harness::canary;
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cqrs_dynamodb::Environment;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpListener,
    process::{Child, Command},
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};

/// The default time from an invocation to its deadline.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The X-Ray trace header of every invocation.
pub const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// A function in a child process.
pub struct Sandbox {
    child: Child,
    invocations: mpsc::UnboundedSender<PendingInvocation>,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

/// The exit status and the output of an ended process.
pub struct ProcessOutput {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// An event and the channel for its result. `Err` is a function error.
struct PendingInvocation {
    event: Value,
    deadline_ms: i64,
    answer: oneshot::Sender<Result<Value, Value>>,
}

/// The Runtime API of one sandbox.
struct RuntimeApi {
    waiting: Mutex<mpsc::UnboundedReceiver<PendingInvocation>>,
    open: Mutex<Option<oneshot::Sender<Result<Value, Value>>>>,
}

impl Sandbox {
    /// Starts the function with `environment` and the variables that Lambda sets.
    pub async fn start(function: &str, environment: &[(impl AsRef<OsStr>, impl AsRef<OsStr>)]) -> Self {
        let (invocations, waiting) = mpsc::unbounded_channel();
        let api = Arc::new(RuntimeApi { waiting: Mutex::new(waiting), open: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router(api)).await });
        let lambda_variables = [
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", function),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ];
        let mut command = Command::new(binary(function));
        command.env_clear().envs(lambda_variables).envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap()));
        Self { child, invocations, stdout, stderr }
    }

    /// Invokes the function. `Err` is a function error. `None` means that the process ended without a result.
    pub async fn invoke(&mut self, event: Value) -> Option<Result<Value, Value>> {
        self.invoke_within(TIMEOUT, event).await
    }

    /// Like [`invoke`](Self::invoke), with this time until the deadline.
    pub async fn invoke_within(&mut self, time: Duration, event: Value) -> Option<Result<Value, Value>> {
        let deadline_ms = Environment::system().now().as_millisecond() + i64::try_from(time.as_millis()).unwrap();
        let (answer, answered) = oneshot::channel();
        self.invocations.send(PendingInvocation { event, deadline_ms, answer }).ok()?;
        tokio::select! {
            answered = answered => answered.ok(),
            _ = self.child.wait() => None,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits until the process ends.
    pub async fn ended(mut self) -> ProcessOutput {
        let status = self.child.wait().await.unwrap();
        ProcessOutput { status, stdout: self.stdout.await.unwrap(), stderr: self.stderr.await.unwrap() }
    }

    /// Kills the process.
    pub async fn end(mut self) -> ProcessOutput {
        self.child.start_kill().unwrap();
        self.ended().await
    }
}

/// Reads the whole output of a process.
fn read(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut text = String::new();
        pipe.read_to_string(&mut text).await.unwrap();
        canary::record("output of a function", &text);
        text
    })
}

/// The Runtime API (AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes").
fn router(api: Arc<RuntimeApi>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .with_state(api)
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let Some(invocation) = api.waiting.lock().await.recv().await else { return std::future::pending().await };
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("Lambda-Runtime-Deadline-Ms", invocation.deadline_ms.to_string()),
        ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:f".to_owned()),
        ("Lambda-Runtime-Trace-Id", TRACE.to_owned()),
    ];
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    *api.open.lock().await = Some(invocation.answer);
    (headers, invocation.event.to_string()).into_response()
}

async fn response(State(api): State<Arc<RuntimeApi>>, Path(_): Path<String>, body: Bytes) -> StatusCode {
    api.answered(Ok(serde_json::from_slice(&body).unwrap())).await
}

async fn error(State(api): State<Arc<RuntimeApi>>, Path(_): Path<String>, body: Bytes) -> StatusCode {
    api.answered(Err(serde_json::from_slice(&body).unwrap())).await
}

impl RuntimeApi {
    async fn answered(&self, answer: Result<Value, Value>) -> StatusCode {
        let open = self.open.lock().await.take().expect("an invocation is answered once");
        let _ = open.send(answer);
        StatusCode::ACCEPTED
    }
}

/// The binary of a function: in the folder `LAMBDA_BINARIES`, as `cargo lambda build` writes it, or built with the
/// profile of the tests.
fn binary(function: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    if let Some(folder) = std::env::var_os("LAMBDA_BINARIES").filter(|folder| !folder.is_empty()) {
        return PathBuf::from(folder).join(function).join("bootstrap");
    }
    let here = std::env::current_exe().unwrap();
    let profile = here.ancestors().nth(2).unwrap();
    BUILT.get_or_init(|| {
        let mut build = std::process::Command::new(env!("CARGO"));
        build.args(["build", "--workspace", "--bins", "--offline", "--quiet"]);
        // Cargo's variables about this package would make build scripts run again.
        let variables = std::env::vars_os().map(|(name, _)| name);
        let variables = variables.filter(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix))
        });
        for name in variables {
            build.env_remove(name);
        }
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    });
    profile.join(function)
}
