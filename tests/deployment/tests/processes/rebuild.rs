//! Rebuilds all views under load, and kills the rebuild several times. It continues at its checkpoint, no query fails,
//! and all views are correct at the end. `ORDERS=100000` rebuilds more than the default of 2,000 orders.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use app::App;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use check::check;
use cqrs_dynamodb::{Environment, Segment, StreamFilter};
use domains::Domains;
use futures_util::{StreamExt, stream};
use jiff::SignedDuration;
use local::{Engine, stack};
use serde_json::{Value, json};

use super::{DataDirectory, StackProcess, free_port, load, number_from_env, token};

const KILLS: u64 = 3;
const CLIENTS: u64 = 4;
/// The address in views of an older schema version.
const STALE_ADDRESS: &str = "of an older schema version";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_killed_under_load_continues_at_its_checkpoint() {
    let orders = number_from_env("ORDERS", 2_000);
    let DemoSystem { port, queries, app, operate, .. } = &DemoSystem::start("rebuild", orders).await;
    let ids = make_all_stale(app).await;
    operate.refuses_the_checkpoint_of_another_rebuild();
    operate.rejects_a_stream_without_commits();

    let (load, ended) = (load(*port, CLIENTS).await, AtomicBool::new(false));
    let should_continue = || !ended.load(Ordering::SeqCst);
    let rebuilding = async {
        let duration = operate.rebuild_with_kills(app).await;
        ended.store(true, Ordering::SeqCst);
        duration.as_secs_f64()
    };
    let patience = SignedDuration::from_secs(60);
    let (checked, seconds, queried) =
        tokio::join!(check(&load, should_continue, patience), rebuilding, queries.run(&ids, should_continue));

    let summary = checked.unwrap();
    println!(
        "{orders} orders in {seconds:.1} s, {:.0} per second; {queried} queries; {summary}",
        orders as f64 / seconds
    );
    assert_eq!((summary.violations, summary.reads_unanswered), (Vec::new(), 0));
    assert_eq!(
        (ids.len() as u64, count_stale_views(app).await),
        (orders, 0),
        "some views have an older schema version"
    );
    assert!(operate.start(&["verify"]).wait().unwrap().success(), "a view is wrong");
}

/// A stack in a child process with orders that are all projected, its tables, and `cargo operate` on them.
pub(super) struct DemoSystem {
    pub(super) port: u16,
    pub(super) queries: QueryClient,
    pub(super) app: App,
    pub(super) operate: OperateProcess,
    _process: StackProcess,
    _directory: DataDirectory,
}

impl DemoSystem {
    /// Starts the stack for the test of this name, and waits until the dashboard shows all orders.
    pub(super) async fn start(test: &str, orders: u64) -> Self {
        let (directory, port) = (DataDirectory::new(test), free_port());
        let process = StackProcess::start(port, None);
        let url = format!("http://127.0.0.1:{port}");
        let queries = QueryClient::of(&url, token(port).await);
        assert!(local(&["demo", "--orders", &orders.to_string(), "--url", &url]));
        while queries.get("/dashboard").await["orders"] != orders {}
        let dynamodb = queries.get("/health").await["dynamodb"].as_str().unwrap().to_owned();
        let (app, operate) = (app(&dynamodb), OperateProcess::on(&dynamodb, &directory.0));
        Self { port, queries, app, operate, _process: process, _directory: directory }
    }
}

/// The tables in this DynamoDB.
fn app(dynamodb: &str) -> App {
    stack::app(
        &deployment::deployment(),
        &deployment::template(),
        &Engine::remote(dynamodb),
        &Environment::system(),
        "",
    )
    .unwrap()
}

/// Runs `cargo local` with these arguments. Returns whether it succeeded.
fn local(arguments: &[&str]) -> bool {
    Command::new(env!("CARGO_BIN_EXE_local")).args(arguments).stdout(Stdio::null()).status().unwrap().success()
}

/// Gives all views an older schema version and `STALE_ADDRESS`. Returns their keys.
async fn make_all_stale(app: &App) -> Vec<String> {
    let table = &*app.tables.get("order-summaries").unwrap();
    let mut pages = app
        .dynamo
        .client
        .scan()
        .table_name(table)
        .limit(1000)
        .projection_expression("order_id")
        .into_paginator()
        .items()
        .send();
    let mut ids = Vec::new();
    while let Some(item) = pages.next().await {
        ids.push(item.unwrap()["order_id"].as_s().unwrap().clone());
    }
    let updates = stream::iter(&ids).for_each_concurrent(8, async |id| {
        let update = app.dynamo.client.update_item().table_name(table).key("order_id", AttributeValue::S(id.clone()));
        let update = update.update_expression("SET #schema = :none, shipping_address = :older");
        let update = update.expression_attribute_names("#schema", "schema");
        let update = update.expression_attribute_values(":none", AttributeValue::N("0".to_owned()));
        update.expression_attribute_values(":older", AttributeValue::S(STALE_ADDRESS.to_owned())).send().await.unwrap();
    });
    updates.await;
    ids
}

/// Counts the views of an older schema version.
async fn count_stale_views(app: &App) -> i32 {
    let scan = app
        .dynamo
        .client
        .scan()
        .table_name(&*app.tables.get("order-summaries").unwrap())
        .select(Select::Count)
        .limit(1000);
    let scan = scan
        .filter_expression("#schema = :none")
        .expression_attribute_names("#schema", "schema")
        .expression_attribute_values(":none", AttributeValue::N("0".to_owned()));
    let mut pages = scan.into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        count += page.unwrap().count;
    }
    count
}

/// `cargo operate` on the tables of one DynamoDB.
pub(super) struct OperateProcess {
    binary: PathBuf,
    dynamodb: String,
    /// The checkpoint file of the rebuild.
    checkpoint: PathBuf,
}

impl OperateProcess {
    fn on(dynamodb: &str, directory: &Path) -> Self {
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--workspace",
            "--features",
            "maintain/operate",
            "--bin",
            "operate",
            "--offline",
            "--quiet",
        ]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        // Cargo's variables about this package would make build scripts run again.
        for (name, _) in
            env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            build.env_remove(name);
        }
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
        let binary = Path::new(env!("CARGO_BIN_EXE_local")).with_file_name("operate");
        Self { binary, dynamodb: dynamodb.to_owned(), checkpoint: directory.join("rebuild.json") }
    }

    pub(super) fn start(&self, arguments: &[&str]) -> Child {
        let mut operate = Command::new(&self.binary);
        operate.args(arguments).args(["--dynamodb", &self.dynamodb, "--json"]).stdout(Stdio::null()).spawn().unwrap()
    }

    /// `history` of an unknown stream fails, and its message says that the stream has no commits.
    fn rejects_a_stream_without_commits(&self) {
        let history =
            Command::new(&self.binary).args(["history", "nope", "--dynamodb", &self.dynamodb]).output().unwrap();
        let said = String::from_utf8_lossy(&history.stderr).into_owned();
        assert_eq!((history.status.code(), said.as_str()), (Some(1), "cargo operate: order#nope has no commits\n"));
    }

    /// A rebuild refuses the checkpoint of another rebuild, and keeps the file.
    fn refuses_the_checkpoint_of_another_rebuild(&self) {
        let schemas = json!({ "order-summaries": 0 });
        let other = json!({
            "of": { "table": "another", "created": 0, "schemas": schemas },
            "checkpoint": { "of": 2, "at": {} },
        });
        fs::write(&self.checkpoint, other.to_string()).unwrap();
        assert_eq!(self.start_rebuild().wait().unwrap().code(), Some(2));
        fs::remove_file(&self.checkpoint).unwrap();
    }

    /// Rebuilds in two segments, with [`KILLS`] kills. Returns the total duration.
    async fn rebuild_with_kills(&self, app: &App) -> SignedDuration {
        let pages = pages(app).await;
        let began = app.dynamo.environment.now();
        let (mut pages_done, mut checkpoint) = (0, Vec::new());
        for kill in 1..=KILLS {
            let mut rebuild = self.start_rebuild();
            // The checkpoint changes after each page.
            while pages_done < pages * kill / (KILLS + 1) {
                assert!(
                    rebuild.try_wait().unwrap().is_none(),
                    "the rebuild ended before it could be killed {KILLS} times"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
                let now = fs::read(&self.checkpoint).unwrap_or_default();
                if now != checkpoint {
                    (pages_done, checkpoint) = (pages_done + 1, now);
                }
            }
            rebuild.kill().unwrap();
            rebuild.wait().unwrap();
        }
        let mut rebuild = self.start_rebuild();
        let status = tokio::task::spawn_blocking(move || rebuild.wait().unwrap());
        assert!(status.await.unwrap().success());
        assert!(!self.checkpoint.exists(), "a finished rebuild leaves no checkpoint");
        app.dynamo.environment.now().duration_since(began)
    }

    fn start_rebuild(&self) -> Child {
        self.start(&["rebuild", "--segments", "2", "--checkpoint", self.checkpoint.to_str().unwrap()])
    }
}

/// The number of pages in which a rebuild reads the streams.
async fn pages(app: &App) -> u64 {
    let projector = app.projector::<Domains>().unwrap();
    let (mut pages, mut after) = (0, None);
    loop {
        let page = projector.streams(StreamFilter::All, Segment::ALL, after.as_ref()).await.unwrap();
        (pages, after) = (pages + 1, page.next);
        if after.is_none() {
            return pages;
        }
    }
}

/// A client that reads the orders of the rebuild.
pub(super) struct QueryClient {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl QueryClient {
    fn of(url: &str, token: String) -> Self {
        Self { client: reqwest::Client::new(), url: url.to_owned(), token }
    }

    /// Reads the document at `path`. Panics unless the status is 200.
    pub(super) async fn get(&self, path: &str) -> Value {
        let response = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// Reads these orders, their customers' lists and the dashboard while `should_continue` returns true. Returns the
    /// number of queries.
    async fn run(&self, ids: &[String], should_continue: impl Fn() -> bool) -> usize {
        let mut queried = 0;
        for id in ids.iter().cycle() {
            let order = self.get(&format!("/orders/{id}")).await;
            assert_ne!(order["shipping_address"], STALE_ADDRESS, "{order}");
            self.get(&format!("/customers/{}/orders", order["customer_id"].as_str().unwrap())).await;
            self.get("/dashboard").await;
            queried += 3;
            if !should_continue() {
                break;
            }
        }
        queried
    }
}
