//! The example events in `tests/events`, for `cargo lambda invoke` and `sam local invoke`, are valid.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::harness::{System, template};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

/// Reads the event with this name.
pub fn event(name: &str) -> Value {
    let path = directory().join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of the events and their expected answers, in the order of the files `answers*.txt`: one for each domain.
pub fn answers() -> Vec<(String, String)> {
    let files = fs::read_dir(directory()).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("answers")).collect();
    files.sort();
    let text: String = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let answer = |line: &str| line.split_once(' ').map(|(name, answer)| (name.to_owned(), answer.trim().to_owned()));
    lines.map(|line| answer(line).unwrap()).collect()
}

#[test]
fn each_event_has_an_answer_and_each_answer_an_event() {
    let files = fs::read_dir(directory()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<_> = files.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
    assert_eq!(files, answers().into_iter().map(|(name, _)| name).collect());
}

#[test]
fn each_function_has_an_event_and_each_event_a_route_with_its_scopes() {
    let (mut functions, mut routes) = (BTreeSet::new(), BTreeSet::new());
    for (name, function) in template().functions {
        functions.insert(name.clone());
        routes.extend(
            function
                .routes
                .into_iter()
                .map(|route| (name.clone(), format!("{} {}", route.method, route.path), route.scopes)),
        );
    }
    for (name, _) in answers() {
        let event = event(&name);
        functions.remove(name.split_once('.').unwrap().0);
        let Some(route) = event["routeKey"].as_str() else { continue };
        let jwt = &event["requestContext"]["authorizer"]["jwt"];
        let Ok(scopes) = serde_json::from_value(jwt["scopes"].clone()) else { continue };
        let served = (name.split_once('.').unwrap().0.to_owned(), route.to_owned(), scopes);
        assert!(routes.contains(&served), "{name}: no function has the route {served:?}");
    }
    assert!(functions.is_empty(), "no event for {functions:?}");
}

#[tokio::test]
async fn each_event_gets_its_expected_answer() {
    let system = System::start().await;
    // Twice: commands have a key, and the projector accepts duplicates.
    for (name, expected) in [answers(), answers()].concat() {
        let (function, _) = name.split_once('.').unwrap();
        let now = system.stack.app.dynamo.environment.now().as_millisecond();
        check_views_before(&system, &name).await;
        let answer = system.stack.function(function).unwrap().invoke(event(&name), now).await.unwrap();
        expect_answer(&name, &expected, &answer);
    }
    check_read_models(&system).await;
}

/// Compares an answer with the expectation in `answers.txt`.
#[track_caller]
pub fn expect_answer(name: &str, expected: &str, answer: &Value) {
    let expected = match expected {
        "done" => return assert_eq!(answer["done"], true, "{name}: {answer}"),
        "ok" => json!({ "batchItemFailures": [] }),
        status if status.len() == 3 => json!(status.parse::<u16>().unwrap()),
        record => json!({ "batchItemFailures": [{ "itemIdentifier": record }] }),
    };
    assert_eq!(answer.get("statusCode").unwrap_or(answer), &expected, "{name}: {answer}");
}

/// Checks the views before the event `name`.
pub async fn check_views_before(system: &System, name: &str) {
    if name == "maintain.sweep" {
        // The stream of `poison` is parked before its first commit.
        let projected = [("01", 1), ("02", 3), ("03", 2), ("04", 2), ("06", 1), ("07", 0), ("08", 1)];
        let views = views(system).await;
        for (id, version) in projected {
            assert_eq!(views.get(id), Some(&version), "{id}");
        }
    }
}

/// Checks the views after all events.
pub async fn check_read_models(system: &System) {
    system.check_counters().await;
    // The event `rebuild` catches up the streams of `place-order-to-ship`, `place-another-order` and `place-order`. It
    // removes the views of the projector's events, because the events table does not contain their commits.
    let expected = [("10", 3), ("49", 2), ("51", 3)];
    assert_eq!(views(system).await, expected.map(|(id, version)| (id.to_owned(), version)).into());
}

/// The version of each view, by the last digits of the order's id.
async fn views(system: &System) -> BTreeMap<String, u64> {
    let numbered = |(id, version): (String, cqrs::Version)| (id[34..].to_owned(), version.get());
    system.view_versions().await.into_iter().map(numbered).collect()
}

/// `cargo lambda watch` sends the deadline 600,000 with each invocation, which is a time in 1970.
#[tokio::test]
async fn the_deadline_of_cargo_lambda_watch_is_not_in_the_past() {
    let system = System::start().await;
    let timeout = template().functions["command"].timeout.as_millis();
    let invoked_at = 600_000 - i64::try_from(timeout).unwrap();
    let command = system.stack.function("command").unwrap();
    let answer = command.invoke(event("command.place-order"), invoked_at).await.unwrap();
    assert_eq!(answer["statusCode"], 201, "{answer}");
}
