//! Declared read models: several rollups over one view, tallies, and rows.

use std::time::Duration;

use cqrs::{DeclarationError, ReadModel, ReadModels, StreamId, Version, spec::commit_of};
use cqrs_dynamodb::{CatchUpRequest, Generation, InGeneration, RowsTable, views::Content};
use jiff::Timestamp;
use local::{engine::interceptor::Fault, functions::Function, gateway::ApiEvent};
use serde_json::{Value, json};

use super::{
    Jars,
    catch_up::{request, stream},
    jar::{Inventory, JarEvent, JarLevel, JarLevels, PANIC_AMOUNT, filled},
    jar_beside::{Fillings, Label, Labels, OtherLevels, levels, note},
};

fn with_note(amount: u64, note: &str) -> JarEvent {
    JarEvent::Filled { amount, note: note.to_owned() }
}

async fn fillings(jars: &Jars) -> i128 {
    jars.counters("inventory").await.get("all", "fillings")
}

#[tokio::test]
async fn a_name_that_is_declared_twice_is_refused() {
    let jars = Jars::start().await;
    let built = jars.builder().add(levels::<1>()).add(ReadModel::<OtherLevels>::new()).build();
    assert_eq!(built.err(), Some(DeclarationError::NameDeclaredTwice("levels")));
}

#[tokio::test]
async fn every_declared_table_needs_a_deployed_table_of_its_own() {
    let jars = Jars::start().await;
    let built = |deployed: fn(&'static str) -> Option<&'static str>| {
        let builder = cqrs_dynamodb::Projector::builder(jars.events(), |name| deployed(name).map(Into::into));
        builder.add(levels::<1>()).build().err()
    };
    assert_eq!(built(|name| (name != "labels").then_some(name)), Some(DeclarationError::NoTable("labels")));
    let one_table = built(|name| Some(if name == "labels" { "words" } else { name }));
    assert_eq!(one_table, Some(DeclarationError::SameTable("labels", "words")));
    assert_eq!(built(Some), None);
}

#[tokio::test]
async fn rollups_over_one_view_change_their_tables_together() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[with_note(0, "tea,"), filled(3)]).await;
    let projector = jars.projector_of_all::<1>();
    projector.catch_up(&[request(&a, &[1])]).await;
    let inventory = jars.counters("inventory").await;
    assert_eq!(["jars", "empty", "content"].map(|column| inventory.get("all", column)), [1, 1, 0]);
    assert_eq!(jars.counters("words").await.get("tea", "occurrences"), 1);
    projector.catch_up(&[request(&a, &[2])]).await;
    let inventory = jars.counters("inventory").await;
    assert_eq!(["jars", "empty", "content"].map(|column| inventory.get("all", column)), [1, 0, 3]);
    jars.check_tables().await;
}

#[tokio::test]
async fn a_write_costs_one_action_per_row_of_counters() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[with_note(2, "tea,")]).await;
    jars.interceptor.take_costs();
    jars.projector_of_all::<1>().catch_up(&[a]).await;
    let costs = jars.interceptor.take_costs();
    // The view, a row of the inventory, a row of words, and a label: 2 units each.
    assert_eq!(costs.iter().find(|(call, _)| call != "GetItem"), Some(&("TransactWriteItems".to_owned(), 8.0)));
}

#[tokio::test]
async fn events_are_tallied_once_despite_duplicates_and_lost_responses() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(1), filled(2), JarEvent::Emptied { amount: 1 }, filled(3)]).await;
    let projector = jars.projector_of_all::<1>();
    jars.interceptor.inject("TransactWriteItems", Fault::ResponseDropped, 10);
    for versions in [&[2][..], &[1], &[1, 2], &[3], &[4, 4], &[1, 2, 3, 4]] {
        let report = projector.catch_up(&[request(&a, versions)]).await;
        assert_eq!(report.failed.len(), 0);
        jars.check_tables().await;
    }
    assert_eq!(fillings(&jars).await, 3);
    let counted = &jars.stored_levels::<1>().await["a"].bookkeeping.counted;
    assert_eq!(counted[&InGeneration::new("fillings", Generation::FIRST)], Version::new(4));
}

#[tokio::test]
async fn a_refold_of_a_stale_view_tallies_no_event_again() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(12), filled(24)]).await;
    jars.projector_of_all::<1>().catch_up(std::slice::from_ref(&a)).await;
    let report = jars.projector_of_all::<2>().catch_up(&[a]).await;
    assert_eq!((report.views_written, report.gaps_filled), (1, 0));
    assert_eq!((fillings(&jars).await, jars.counters("inventory").await.get("all", "content")), (2, 3));
}

#[tokio::test]
async fn a_new_tally_counts_the_whole_stream_even_if_the_schema_version_was_not_raised() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(1), filled(2)]).await;
    let b = stream(&jars, "b", &[filled(1)]).await;
    jars.projector::<1>().catch_up(&[a.clone(), b.clone()]).await;
    let with_tally = jars
        .builder()
        .add(ReadModel::<JarLevels<1>>::new().rollup::<Inventory<1>>().tally::<Fillings<1>>())
        .build()
        .unwrap();
    with_tally.catch_up(&[request(&a, &[2])]).await;
    assert_eq!(fillings(&jars).await, 2, "a has another delivery, b has none");
    // A rebuild catches up the rest. A projector without the tally keeps what was counted.
    with_tally.catch_up(&[CatchUpRequest::new(a.stream.clone()), CatchUpRequest::new(b.stream)]).await;
    jars.append(commit_of("a", 3, "2026-11-22T10:00:00Z", filled(1))).await;
    jars.projector::<1>().catch_up(&[CatchUpRequest::new(a.stream.clone())]).await;
    assert_eq!(fillings(&jars).await, 3);
    with_tally.catch_up(&[CatchUpRequest::new(a.stream)]).await;
    assert_eq!(fillings(&jars).await, 4);
    let counters = jars.counters("inventory").await;
    assert_eq!((counters.get("all", "jars"), counters.get("all", "content")), (2, 5));
}

#[tokio::test]
async fn the_events_of_a_deleted_view_stay_counted() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[with_note(1, "tea,"), JarEvent::Smashed {}]).await;
    jars.projector_of_all::<1>().catch_up(&[request(&a, &[1])]).await;
    assert_eq!(jars.labels().await.len(), 1);
    jars.projector_of_all::<1>().catch_up(&[a]).await;
    assert_eq!(jars.level::<1>("a").await, (2, Content::Deleted));
    let inventory = jars.counters("inventory").await;
    assert_eq!((fillings(&jars).await, inventory.get("all", "jars")), (1, 0));
    assert_eq!((jars.counters("words-written").await.get("tea", "written"), jars.labels().await.len()), (1, 0));
    jars.check_tables().await;
}

#[tokio::test]
async fn tallies_of_a_parked_stream_stop_before_the_parked_commit() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(1), filled(PANIC_AMOUNT), filled(1)]).await;
    let report = jars.projector_of_all::<1>().catch_up(&[a]).await;
    assert_eq!((report.parked.len(), fillings(&jars).await), (1, 1));
    jars.check_tables().await;
}

#[tokio::test]
async fn rows_are_written_changed_and_removed_with_their_view() {
    let jars = Jars::start().await;
    let a =
        stream(&jars, "a", &[with_note(1, "tea,green,"), JarEvent::Emptied { amount: 1 }, JarEvent::Smashed {}]).await;
    let b = stream(&jars, "b#1", &[with_note(1, "tea,")]).await;
    let projector = jars.projector_of_all::<1>();
    let labels = RowsTable::<Labels<1>>::new(jars.dynamo.clone(), jars.table("labels"));
    let of_tea = || async { labels.list("tea", None, 10, false).await.unwrap() };
    projector.catch_up(&[request(&a, &[1]), b]).await;
    let label = |jar: &str, is_empty| Label { jar: jar.to_owned(), is_empty };
    assert_eq!(of_tea().await.rows, [label("a", false), label("b#1", false)]);
    projector.catch_up(&[request(&a, &[2])]).await;
    assert_eq!(of_tea().await.rows, [label("a", true), label("b#1", false)]);
    projector.catch_up(&[request(&a, &[3])]).await;
    assert_eq!((of_tea().await.rows, jars.labels().await.len()), (vec![label("b#1", false)], 1));
    jars.check_tables().await;
}

#[tokio::test]
async fn a_new_version_of_a_view_rewrites_no_equal_row() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[with_note(5, "tea,green,"), JarEvent::Emptied { amount: 0 }]).await;
    let projector = jars.projector_of_all::<1>();
    projector.catch_up(&[request(&a, &[1])]).await;
    jars.interceptor.take_costs();
    projector.catch_up(&[request(&a, &[2])]).await;
    let costs = jars.interceptor.take_costs();
    assert_eq!(costs[1], ("PutItem".to_owned(), 1.0), "only the view: {costs:?}");
}

#[tokio::test]
async fn rows_are_listed_in_pages_in_both_directions() {
    let jars = Jars::start().await;
    let mut requests = Vec::new();
    for jar in 0..5 {
        requests.push(stream(&jars, &format!("jar-{jar}"), &[with_note(1, "tea,")]).await);
    }
    jars.projector_of_all::<1>().catch_up(&requests).await;
    let labels = RowsTable::<Labels<1>>::new(jars.dynamo.clone(), jars.table("labels"));
    for newest_first in [false, true] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = labels.list("tea", after.as_deref(), 2, newest_first).await.unwrap();
            found.extend(page.rows.into_iter().map(|row| row.jar));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut expected: Vec<String> = (0..5).map(|jar| format!("jar-{jar}")).collect();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn two_projections_of_one_stream_count_its_commits_once() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(1), filled(2)]).await;
    let report = jars.projector::<1>().catch_up(&[a]).await;
    assert_eq!((report.views_written, report.commits()), (2, 2));
}

#[tokio::test]
async fn a_commit_that_a_tally_counts_in_100_rows_parks_its_stream() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[with_note(1, &note(0, 99)), with_note(1, &note(0, 100))]).await;
    let report = jars.projector_of_all::<1>().catch_up(&[a]).await;
    let reason = report.parked[&StreamId::of::<JarEvent>("a")].to_string();
    assert!(reason.ends_with("words-written counts the commit in 100 rows, more than 99"), "{reason}");
    let Content::Current(JarLevel { level, .. }) = jars.level::<1>("a").await.1 else { panic!() };
    assert_eq!(level, 1);
    jars.check_tables().await;
}

/// The rows of the list `tea` over HTTP, page by page.
#[tokio::test]
async fn a_function_responds_with_pages_of_rows() {
    let jars = Jars::start().await;
    let projector = jars.projector_of_all::<1>();
    for key in ["a", "b", "c"] {
        let jar = stream(&jars, key, &[with_note(1, "tea,")]).await;
        projector.catch_up(&[request(&jar, &[1])]).await;
    }
    const READ: &[cqrs::Scope] = &[cqrs::Scope::new("jars/read")];
    let labels = async |query: app::QueryContext, app::PathText(word): app::PathText| {
        query.rows::<Labels<1>>("labels", &word, false).await
    };
    let function =
        app::HttpFunction::new("labels").rows::<Labels<1>>().get("listLabels", "/words/{word}", READ, labels);
    let tables = app::Tables::from_iter([("labels", jars.table("labels").into())]);
    let settings =
        app::Settings::read(&[], |name| (name == "AWS_ENDPOINT_URL").then(|| "http://localhost:1".to_owned()));
    let settings = settings.unwrap();
    let app = app::App {
        dynamo: jars.dynamo.clone(),
        aws: app::Aws::new(&settings, app::client::transport(&settings), |_| None),
        tables,
        metrics: app::Metrics::none(),
        x_ray: Default::default(),
    };
    let function = Function::from_service(function.into_service(&app), Duration::from_secs(10));
    let jwt = json!({ "jwt": { "claims": { "sub": "alice", "scope": "jars/read" } } });
    let now = jars.dynamo.environment.now().as_millisecond();
    let get = async |query: &str| {
        let event = ApiEvent {
            method: "GET",
            route: "/words/{word}",
            path: "/words/tea",
            query,
            headers: serde_json::Map::new(),
            path_parameters: &[("word".to_owned(), "tea".to_owned())],
            authorizer: jwt.clone(),
            body: &[],
            now: Timestamp::UNIX_EPOCH,
        };
        let answer = function.invoke(event.to_json(), now).await.unwrap();
        let document = serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), document)
    };
    let jars_of = |page: &Value| {
        page["labels"].as_array().unwrap().iter().map(|row| row["jar"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (status, first) = get("limit=2").await;
    assert_eq!((status, jars_of(&first)), (200, vec!["a".to_owned(), "b".to_owned()]));
    let cursor = first["next_cursor"].as_str().unwrap();
    let (status, last) = get(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!((status, jars_of(&last), &last["next_cursor"]), (200, vec!["c".to_owned()], &Value::Null));
    assert_eq!(get("cursor=x").await.0, 400);
}
