//! All views are rebuilt while the system is under load, and the rebuild is killed on the way: it goes on where it was, no
//! query fails, and in the end all is as it must be. `ORDERS=100000` rebuilds more than by default.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use app::App;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use cqrs_dynamodb::{Environment, Segment, StreamFilter};
use futures_util::{StreamExt, stream};
use jiff::SignedDuration;
use local::{
    Engine, Template,
    check::{Api, Load, check},
    stack,
};
use serde_json::{Value, json};

use super::{DataDirectory, StackProcess, free_port, number_from_env, token};

const KILLS: u64 = 3;
const CLIENTS: u64 = 4;
/// What views of an older schema have for an address.
const STALE_ADDRESS: &str = "of an older schema";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_under_load_is_killed_on_the_way_and_goes_on_where_it_was() {
    let (directory, port, orders) = (DataDirectory::new("rebuild"), free_port(), number_from_env("ORDERS", 2_000));
    let process = StackProcess::start(port, None);
    let url = format!("http://127.0.0.1:{port}");
    let queries = QueryClient::of(&url, token(port).await);
    assert!(local(&["demo", "--orders", &orders.to_string(), "--url", &url]));
    while queries.get("/dashboard").await["orders"] != orders {}
    let dynamodb = queries.get("/health").await["dynamodb"].as_str().unwrap().to_owned();
    let (app, operate) = (app(&dynamodb), OperateCli::on(&dynamodb, &directory.0));
    let ids = make_all_stale(&app).await;
    operate.refuse_what_is_of_another_rebuild();

    let api = Api::new(&url, token(port).await).unwrap();
    let (load, ended) = (Load::new(api, Environment::system(), CLIENTS, 1), AtomicBool::new(false));
    let should_continue = || !ended.load(Ordering::SeqCst);
    let rebuilding = async {
        let took = operate.rebuild_and_be_killed(&app).await;
        ended.store(true, Ordering::SeqCst);
        took.as_secs_f64()
    };
    let patience = SignedDuration::from_secs(60);
    let (checked, took, asked) =
        tokio::join!(check(&load, should_continue, patience), rebuilding, queries.ask(&ids, should_continue));

    let summary = checked.unwrap();
    println!("{orders} orders in {took:.1} s, {:.0} a second; {asked} other queries; {summary}", orders as f64 / took);
    assert_eq!((summary.violations, summary.reads_unanswered), (Vec::new(), 0));
    assert_eq!((ids.len() as u64, count_stale_views(&app).await), (orders, 0), "views of an older schema are left");
    assert!(operate.start(&["verify"]).wait().unwrap().success(), "something is wrong");
    drop(process);
}

/// The tables of the system whose DynamoDB this is.
fn app(dynamodb: &str) -> App {
    let template = Template::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml")).unwrap();
    stack::app(&template, &Engine::remote(dynamodb), &Environment::system(), "").unwrap()
}

/// `cargo local`, with these arguments; whether it succeeds.
fn local(arguments: &[&str]) -> bool {
    Command::new(env!("CARGO_BIN_EXE_local")).args(arguments).stdout(Stdio::null()).status().unwrap().success()
}

/// Makes all views ones of an older schema, with another address, and gives their keys.
async fn make_all_stale(app: &App) -> Vec<String> {
    let table = &*app.tables.order_summaries;
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
    let aged = stream::iter(&ids).for_each_concurrent(8, async |id| {
        let update = app.dynamo.client.update_item().table_name(table).key("order_id", AttributeValue::S(id.clone()));
        let update = update.update_expression("SET schema = :none, shipping_address = :older");
        let update = update.expression_attribute_values(":none", AttributeValue::N("0".to_owned()));
        update.expression_attribute_values(":older", AttributeValue::S(STALE_ADDRESS.to_owned())).send().await.unwrap();
    });
    aged.await;
    ids
}

/// How many views of an older schema there are.
async fn count_stale_views(app: &App) -> i32 {
    let scan = app.dynamo.client.scan().table_name(&*app.tables.order_summaries).select(Select::Count).limit(1000);
    let scan = scan
        .filter_expression("schema = :none")
        .expression_attribute_values(":none", AttributeValue::N("0".to_owned()));
    let mut pages = scan.into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        count += page.unwrap().count;
    }
    count
}

/// `cargo operate`, at work on the tables of this DynamoDB.
struct OperateCli {
    binary: PathBuf,
    dynamodb: String,
    /// Where a rebuild keeps how far it is.
    checkpoint: PathBuf,
}

impl OperateCli {
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
        // What cargo tells this test about its package is not for others: build scripts would run again for it.
        for (name, _) in
            env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            build.env_remove(name);
        }
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
        let binary = Path::new(env!("CARGO_BIN_EXE_local")).with_file_name("operate");
        Self { binary, dynamodb: dynamodb.to_owned(), checkpoint: directory.join("rebuild.json") }
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut operate = Command::new(&self.binary);
        operate.args(arguments).args(["--dynamodb", &self.dynamodb, "--json"]).stdout(Stdio::null()).spawn().unwrap()
    }

    /// What another rebuild has kept is not gone on from, and not thrown away.
    fn refuse_what_is_of_another_rebuild(&self) {
        let schemas = json!({ "order-summaries": 0 });
        let kept = json!({ "of": { "table": "another", "created": 0, "schemas": schemas }, "checkpoint": { "of": 2, "at": {} } });
        fs::write(&self.checkpoint, kept.to_string()).unwrap();
        assert_eq!(self.start_rebuild().wait().unwrap().code(), Some(2));
        fs::remove_file(&self.checkpoint).unwrap();
    }

    /// Rebuilds in two segments, and is killed [`KILLS`] times. Gives how long it was at it, all in all.
    async fn rebuild_and_be_killed(&self, app: &App) -> SignedDuration {
        let pages = pages(app).await;
        let began = app.dynamo.environment.now();
        let (mut seen, mut kept) = (0, Vec::new());
        for kill in 1..=KILLS {
            let mut rebuild = self.start_rebuild();
            // A page is done when what is kept changes.
            while seen < pages * kill / (KILLS + 1) {
                assert!(rebuild.try_wait().unwrap().is_none(), "it is done before it can be killed {KILLS} times");
                tokio::time::sleep(Duration::from_millis(1)).await;
                let now = fs::read(&self.checkpoint).unwrap_or_default();
                if now != kept {
                    (seen, kept) = (seen + 1, now);
                }
            }
            rebuild.kill().unwrap();
            rebuild.wait().unwrap();
        }
        let mut rebuild = self.start_rebuild();
        let done = tokio::task::spawn_blocking(move || rebuild.wait().unwrap());
        assert!(done.await.unwrap().success());
        assert!(!self.checkpoint.exists(), "there is nothing to go on with");
        app.dynamo.environment.now().duration_since(began)
    }

    fn start_rebuild(&self) -> Child {
        self.start(&["rebuild", "--segments", "2", "--checkpoint", self.checkpoint.to_str().unwrap()])
    }
}

/// How many pages a rebuild reads the events in.
async fn pages(app: &App) -> u64 {
    let (mut pages, mut after) = (0, None);
    loop {
        let page = app.events().streams(StreamFilter::All, Segment::ALL, after.as_ref()).await.unwrap();
        (pages, after) = (pages + 1, page.next);
        if after.is_none() {
            return pages;
        }
    }
}

/// Somebody who reads orders that were there before.
struct QueryClient {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl QueryClient {
    fn of(url: &str, token: String) -> Self {
        Self { client: reqwest::Client::new(), url: url.to_owned(), token }
    }

    /// What is at this path; all else is a failure.
    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// Asks for these orders, their customers' lists and the dashboard, as long as it is to go on. Gives how often.
    async fn ask(&self, ids: &[String], should_continue: impl Fn() -> bool) -> usize {
        let mut asked = 0;
        for id in ids.iter().cycle() {
            let order = self.get(&format!("/orders/{id}")).await;
            assert_ne!(order["shipping_address"], STALE_ADDRESS, "{order}");
            self.get(&format!("/customers/{}/orders", order["customer_id"].as_str().unwrap())).await;
            self.get("/dashboard").await;
            asked += 3;
            if !should_continue() {
                break;
            }
        }
        asked
    }
}
