//! Rebuilds the counters under load, and kills the rebuild once. Queries read the former counters until the new ones
//! are complete, and the new ones are correct.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use app::App;
use aws_sdk_dynamodb::types::AttributeValue;
use check::check;
use cqrs::Rollup;
use jiff::SignedDuration;
use orders::Dashboard;
use serde_json::Value;

use super::{
    load, number_from_env,
    rebuild::{DemoSystem, OperateProcess, QueryClient},
};

const CLIENTS: u64 = 4;
/// The amount by which the test changes the number of cancelled orders. It is so large that the load cannot hide it.
const ERROR: i64 = -1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_rebuilt_live_under_load() {
    let orders = number_from_env("ORDERS", 1_000);
    let DemoSystem { port, queries, app, operate, .. } = &DemoSystem::start("counters", orders).await;
    damage_counters(app).await;
    assert!(cancelled(queries).await < 0);

    let (load, ended) = (load(*port, CLIENTS).await, AtomicBool::new(false));
    let should_continue = || !ended.load(Ordering::SeqCst);
    let rebuilding = async {
        rebuild_with_a_kill(operate).await;
        ended.store(true, Ordering::SeqCst);
    };
    // Until they are rebuilt, the counters are wrong, and they are never half counted.
    let watching = async {
        let (mut watched, mut rebuilt) = (0, false);
        while should_continue() {
            let cancelled = cancelled(queries).await;
            assert!(!rebuilt || cancelled >= 0, "the former counters are served again");
            assert!(!(ERROR / 2..0).contains(&cancelled), "{cancelled}");
            rebuilt = cancelled >= 0;
            watched += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        watched
    };
    let (checked, (), watched) =
        tokio::join!(check(&load, should_continue, SignedDuration::from_secs(60)), rebuilding, watching);
    let summary = checked.unwrap();
    println!("{orders} orders; the dashboard was read {watched} times; {summary}");
    assert_eq!((summary.violations, summary.reads_unanswered), (Vec::new(), 0));
    assert!(cancelled(queries).await >= 0);
    assert!(operate.start(&["verify"]).wait().unwrap().success(), "a view or a counter is wrong");
}

/// Changes a counter past the system.
async fn damage_counters(app: &App) {
    let update = app.dynamo.client.update_item().table_name(&*app.tables.get(Dashboard::TABLE).unwrap());
    let update = update.key("shard", AttributeValue::S("1#0".to_owned()));
    let update = update.key("row", AttributeValue::S("totals".to_owned())).update_expression("ADD #column :error");
    let update = update.expression_attribute_names("#column", "status:cancelled");
    update.expression_attribute_values(":error", AttributeValue::N(ERROR.to_string())).send().await.unwrap();
}

/// The number of cancelled orders that the dashboard shows.
async fn cancelled(queries: &QueryClient) -> i64 {
    let dashboard: Value = queries.get("/dashboard").await;
    dashboard["by_status"]["cancelled"].as_i64().unwrap()
}

/// Kills the first rebuild while it waits for the writers. The second one continues.
async fn rebuild_with_a_kill(operate: &OperateProcess) {
    let arguments = ["rebuild", "--counters", "--segments", "2"];
    let mut killed = operate.start(&arguments);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(killed.try_wait().unwrap().is_none(), "the rebuild does not wait for the writers");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let mut rebuild = operate.start(&arguments);
    let status = tokio::task::spawn_blocking(move || rebuild.wait().unwrap());
    assert!(status.await.unwrap().success(), "the counters were not rebuilt");
}
