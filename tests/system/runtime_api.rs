//! The deployed binaries, each in a child process, with an emulated Runtime API.

mod proxy;
mod sandbox;

use std::{collections::BTreeMap, net::UdpSocket, process::Command, time::Duration};

use app::{problem::type_uri, tables};
use deployment::deployment;
use serde_json::{Value, json};

use self::{
    proxy::{CallPhase, Proxy},
    sandbox::Sandbox,
};
use crate::{
    events,
    harness::{System, event, order},
};

/// The environment variables of a function on its tables of `system`, behind `proxy`, and one more variable. Those of
/// the template name the bus, the queues and the timers, which the gateway of the system serves.
fn environment(system: &System, proxy: &Proxy, function: &str, more: (&str, &str)) -> Vec<(String, String)> {
    let deployed = &system.stack.app.tables;
    let tables = system.stack.deployment.tables_of(function);
    let tables = tables.iter().map(|name| (tables::variable(name), deployed.get(name).unwrap().to_string()));
    let names = system.stack.template.functions[function].environment.keys();
    let of_function =
        |name: &&String| !name.ends_with("_TABLE") && !name.starts_with("AWS_") && *name != "METRICS_NAMESPACE";
    let value = |name: &String| (name.clone(), system.stack.app.aws.variable(name).unwrap());
    let services = format!("{}/aws", system.url());
    let endpoints = ["EVENTBRIDGE", "SCHEDULER", "SQS"].map(|service| format!("AWS_ENDPOINT_URL_{service}"));
    let rest =
        [("AWS_ENDPOINT_URL_DYNAMODB", &*proxy.url), more].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let endpoints = endpoints.into_iter().map(|name| (name, services.clone()));
    tables.chain(names.filter(of_function).map(value)).chain(endpoints).chain(rest).collect()
}

/// Starts a function on the tables of `system`, behind `proxy`.
async fn start(system: &System, proxy: &Proxy, function: &str) -> Sandbox {
    Sandbox::start(function, &environment(system, proxy, function, ("METRICS_NAMESPACE", "orders"))).await
}

/// A request by a caller with these scopes.
fn request(sub: &str, scope: &str, method: &str, path: &str, key: &str, body: &Value) -> Value {
    let body = if method == "GET" { String::new() } else { body.to_string() };
    let mut event = event(method, path, json!({ "jwt": { "claims": { "sub": sub, "scope": scope } } }), &body);
    event["headers"]["idempotency-key"] = json!(key);
    event
}

fn place(sub: &str, key: &str) -> Value {
    request(sub, "orders/write", "POST", "/orders", key, &order())
}

/// Status and document of an answer.
#[track_caller]
fn answered(answer: Option<Result<Value, Value>>) -> (u64, Value) {
    let answer = answer.unwrap().unwrap();
    let document = serde_json::from_str(answer["body"].as_str().unwrap_or("null")).unwrap();
    (answer["statusCode"].as_u64().unwrap(), document)
}

#[tokio::test]
async fn every_route_and_every_batch_is_answered_by_its_binary() {
    let system = System::start().await;
    let proxy = Proxy::in_front_of(&system).await;
    let mut sandboxes = BTreeMap::new();
    for (name, expected) in [events::answers(), events::answers()].concat() {
        let function = name.split_once('.').unwrap().0.to_owned();
        if !sandboxes.contains_key(&function) {
            sandboxes.insert(function.clone(), start(&system, &proxy, &function).await);
        }
        let sandbox = sandboxes.get_mut(&function).unwrap();
        events::check_views_before(&system, &name).await;
        let timeout = system.stack.template.functions[&function].timeout;
        let answer = sandbox.invoke_within(timeout, events::event(&name)).await.unwrap().unwrap();
        events::expect_answer(&name, &expected, &answer);
    }
    events::check_read_models(&system).await;
}

#[tokio::test]
async fn two_requests_in_one_process_do_not_see_each_others_data() {
    let system = System::start().await;
    let proxy = Proxy::in_front_of(&system).await;
    let (mut command, mut get_order) =
        (start(&system, &proxy, "command").await, start(&system, &proxy, "get-order").await);
    let (_, alices) = answered(command.invoke(place("alice", "first")).await);
    let (_, bobs) = answered(command.invoke(place("bob", "first")).await);
    assert_ne!(alices["order_id"], bobs["order_id"]);

    let path = format!("/orders/{}", alices["order_id"].as_str().unwrap());
    let read = |sub: &str| request(sub, "orders/read", "GET", &path, "", &Value::Null);
    assert_eq!(answered(get_order.invoke(read("alice")).await).1["customer_id"], "alice");
    assert_eq!(answered(get_order.invoke(read("bob")).await).0, 404);
    let unauthenticated = event("GET", &path, Value::Null, "");
    assert_eq!(answered(get_order.invoke(unauthenticated).await).0, 401);
    assert_eq!(answered(get_order.invoke(read("alice")).await).0, 200);
}

#[tokio::test]
async fn a_command_answers_before_its_deadline_and_its_key_resolves_the_outcome() {
    let system = System::start().await;
    let proxy = Proxy::in_front_of(&system).await;
    let mut command = start(&system, &proxy, "command").await;
    answered(command.invoke(place("alice", "warm")).await);
    for (key, phase) in [("never written", CallPhase::Before), ("written", CallPhase::After)] {
        let key = key.replace(' ', "-");
        proxy.on_call(0, phase, || {}).await;
        let time = Duration::from_millis(1_200);
        let (status, problem) = answered(command.invoke_within(time, place("alice", &key)).await);
        assert_eq!((status, &problem["type"]), (503, &json!(type_uri("outcome-unknown"))));
        let (status, placed) = answered(command.invoke(place("alice", &key)).await);
        assert_eq!((status, &placed["version"]), (201, &json!(1)), "{key}");
    }
    assert_eq!(system.streams().await.len(), 3);
}

#[tokio::test]
async fn a_projector_may_be_killed_at_any_call_and_its_batch_is_delivered_again() {
    for phase in [CallPhase::Before, CallPhase::After] {
        for call in 0.. {
            let system = System::start().await;
            let proxy = Proxy::in_front_of(&system).await;
            let alice = system.customer("alice");
            for number in 0..3 {
                let id = alice.places_order(&format!("order-{number}")).await;
                alice.cancels(&id).await;
            }
            let records = system.stream_records().await;
            let batch = |from: usize| json!({ "Records": records[from..].iter().map(|r| &r.json).collect::<Vec<_>>() });

            let mut sandbox = start(&system, &proxy, "projector").await;
            let pid = sandbox.pid().to_string();
            // The first call is the warm-up. Without the first record, the batch reads views and fills a gap.
            proxy.on_call(call, phase, move || drop(Command::new("kill").args(["-9", &pid]).status())).await;
            let answer = sandbox.invoke(batch(1)).await;
            let killed = proxy.clear().await;
            assert_eq!(answer.is_none(), killed, "call {call}: {answer:?}");
            system.check_counters().await;

            let mut again = start(&system, &proxy, "projector").await;
            assert_eq!(again.invoke(batch(0)).await.unwrap().unwrap(), json!({ "batchItemFailures": [] }));
            system.check_read_models().await;
            if !killed {
                assert!(call > 3, "a batch makes more than {call} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_malformed_batch_is_a_function_error() {
    let system = System::start().await;
    let proxy = Proxy::in_front_of(&system).await;
    let mut projector = start(&system, &proxy, "projector").await;
    let nonsense = projector.invoke(json!({ "Records": "none" })).await.unwrap();
    assert!(nonsense.unwrap_err()["errorMessage"].is_string());
    assert_eq!(projector.invoke(json!({ "Records": [] })).await.unwrap().unwrap(), json!({ "batchItemFailures": [] }));
}

#[tokio::test]
async fn a_missing_or_malformed_setting_is_one_line_that_names_it() {
    for (function, _) in deployment().functions() {
        let tables: Vec<String> = deployment().tables_of(function).into_iter().map(tables::variable).collect();
        let mut all: Vec<(&str, &str)> = tables.iter().map(|name| (name.as_str(), "table")).collect();
        all.extend([("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
        let table = tables[0].as_str();
        for (name, value) in [
            (table, ""),
            (table, "?"),
            ("AWS_REGION", ""),
            ("AWS_ENDPOINT_URL_DYNAMODB", "localhost"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "much"),
            ("AWS_LAMBDA_RUNTIME_API", ""),
        ] {
            let environment = [&all[..], &[(name, value)]].concat();
            let output = Sandbox::start(function, &environment).await.ended().await;
            assert!(!output.status.success());
            assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
            assert!(output.stderr.contains(name) && !output.stderr.contains("panicked"), "{}", output.stderr);
        }
    }
}

#[tokio::test]
async fn metrics_go_to_standard_output_and_the_batch_links_to_the_traces_of_its_commands() {
    let system = System::start().await;
    let proxy = Proxy::in_front_of(&system).await;
    let mut command = start(&system, &proxy, "command").await;
    let mut traced = place("alice", "first");
    traced["headers"]["traceparent"] = "00-00000000000000000000000000000000-b7ad6b7169203331-01".into();
    assert_eq!(answered(command.invoke(traced).await).0, 201);
    let line: Value = serde_json::from_str(command.end().await.stdout.trim()).unwrap();
    assert_eq!(
        json!([line["CommandsAccepted"], line["_aws"]["CloudWatchMetrics"][0]["Namespace"]]),
        json!([1, "orders"])
    );

    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = daemon.local_addr().unwrap().to_string();
    let traced = environment(&system, &proxy, "projector", ("AWS_XRAY_DAEMON_ADDRESS", &address));
    let mut projector = Sandbox::start("projector", &traced).await;
    let records: Vec<_> = system.stream_records().await.into_iter().map(|record| record.json).collect();
    projector.invoke(json!({ "Records": records })).await.unwrap().unwrap();
    let mut datagram = vec![0; 65_536];
    daemon.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = daemon.recv(&mut datagram).unwrap();
    let text = std::str::from_utf8(&datagram[..length]).unwrap();
    let (header, document) = text.split_once('\n').unwrap();
    assert_eq!(serde_json::from_str::<Value>(header).unwrap(), json!({ "format": "json", "version": 1 }));
    let document: Value = serde_json::from_str(document).unwrap();
    // The command has no valid traceparent, so its trace is the one of Lambda.
    let link = json!({ "trace_id": "1-5759e988-bd862e3fe1be46a994272793", "id": "53995c3f42cd8ad8" });
    assert_eq!(document["links"], json!([link]));
    assert_eq!(projector.end().await.stdout, "", "there are no metrics without a namespace");
}
