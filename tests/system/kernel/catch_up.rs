//! Catching up two projections and a rollup.

use cqrs::{Aggregate, Counters, StreamId, Version, spec::commit_of};
use cqrs_dynamodb::{CatchUpRequest, ReadOutcome, Reader, StoreError, views::Content};
use local::engine::interceptor::Fault;

use super::{
    Jars,
    jar::{Jar, JarEvent, JarLevel, PANIC_AMOUNT, Visit, filled},
};

/// Appends the events, one per commit. Returns a catch-up request with all commits.
pub(super) async fn stream(jars: &Jars, key: &str, events: &[JarEvent]) -> CatchUpRequest {
    let mut request = CatchUpRequest::new(StreamId::of::<JarEvent>(key));
    for (event, version) in events.iter().zip(1..) {
        let commit = jars.append(commit_of(key, version, "2026-11-22T10:00:00Z", event.clone())).await;
        request.observe(commit.version, Some(commit));
    }
    request
}

/// Returns the part of the request with these commits.
pub(super) fn request(request: &CatchUpRequest, versions: &[u64]) -> CatchUpRequest {
    let mut some = CatchUpRequest::new(request.stream.clone());
    for version in versions.iter().copied().map(Version::new) {
        some.observe(version, request.commits.get(&version).cloned());
    }
    some
}

async fn level<const SCHEMA: u32>(jars: &Jars, key: &str) -> (u64, Content<JarLevel>) {
    let stored = jars.levels::<SCHEMA>().get(key).await.unwrap().unwrap();
    (stored.position.version.get(), stored.content)
}

async fn visits(jars: &Jars, key: &str) -> Option<u64> {
    match jars.visits().get(key).await.unwrap()?.content {
        Content::Current(Visit { visits, .. }) => Some(visits),
        _ => None,
    }
}

async fn inventory(jars: &Jars) -> (i128, i128) {
    let counters: Counters = jars.inventory().row("all").await.unwrap();
    (counters.get("all", "jars"), counters.get("all", "content"))
}

fn current(key: &str, level: u64) -> Content<JarLevel> {
    Content::Current(JarLevel { jar: key.to_owned(), level, note: String::new() })
}

#[tokio::test]
async fn several_commits_of_a_stream_cost_one_write_per_view() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(3), filled(4), JarEvent::Emptied { amount: 2 }]).await;
    jars.interceptor.take_costs();
    let report = jars.projector::<1>().catch_up(&[a]).await;
    assert_eq!((report.views_written, report.gaps_filled, report.failed.len()), (2, 0, 0));
    assert_eq!(level::<1>(&jars, "a").await, (3, current("a", 5)));
    assert_eq!((visits(&jars, "a").await, inventory(&jars).await), (Some(3), (1, 5)));
    let calls: Vec<_> = jars.interceptor.take_costs().into_iter().map(|(operation, _)| operation).collect();
    // A projection without a rollup needs only a put, at half the price of a transaction. The projection with one reads
    // the generations of its counters first.
    assert_eq!(calls[..3], ["GetItem", "TransactWriteItems", "PutItem"]);
}

#[tokio::test]
async fn duplicates_gaps_and_late_commits_end_in_the_fold() {
    let jars = Jars::start().await;
    let all = stream(&jars, "a", &[filled(1), filled(2), filled(3), filled(4), filled(5)]).await;
    let projector = jars.projector::<1>();
    for (versions, report_is, after) in [
        (&[2, 4][..], (2, 2), 5), // a gap is filled up to the head of the stream
        (&[1], (0, 0), 5),
        (&[3, 3, 5], (0, 0), 5),
        (&[1, 2, 3, 4, 5], (0, 0), 5),
    ] {
        let report = projector.catch_up(&[request(&all, versions)]).await;
        assert_eq!((report.views_written, report.gaps_filled), report_is, "{versions:?}");
        assert_eq!(level::<1>(&jars, "a").await.0, after);
        assert_eq!(inventory(&jars).await, (1, 15));
    }
    assert_eq!(visits(&jars, "a").await, Some(5));
}

#[tokio::test]
async fn a_request_without_commits_catches_up_to_the_head() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(1), filled(2)]).await;
    let report = jars.projector::<1>().catch_up(&[CatchUpRequest::new(a.stream)]).await;
    assert_eq!((report.views_written, report.gaps_filled), (2, 0));
    assert_eq!(level::<1>(&jars, "a").await, (2, current("a", 3)));
    let none = CatchUpRequest::new(StreamId::of::<JarEvent>("none"));
    assert_eq!(jars.projector::<1>().catch_up(&[none]).await.views_written, 0);
}

#[tokio::test]
async fn a_deleted_view_leaves_a_tombstone_and_contributes_nothing() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(3), JarEvent::Smashed {}]).await;
    let projector = jars.projector::<1>();
    projector.catch_up(&[request(&a, &[1])]).await;
    assert_eq!(inventory(&jars).await, (1, 3));
    projector.catch_up(&[request(&a, &[2])]).await;
    assert_eq!((level::<1>(&jars, "a").await, inventory(&jars).await), ((2, Content::Deleted), (0, 0)));
    // A late commit meets the tombstone, and does not create the view again.
    projector.catch_up(&[request(&a, &[1])]).await;
    assert_eq!((level::<1>(&jars, "a").await, inventory(&jars).await), ((2, Content::Deleted), (0, 0)));
    let reader = Reader::new(jars.levels::<1>(), jars.events());
    assert_eq!(reader.read("a", None).await.unwrap(), ReadOutcome::NotFound);
    assert_eq!(reader.read("a", Some(Version::new(2))).await.unwrap(), ReadOutcome::NotFound);
}

#[tokio::test]
async fn a_view_of_an_older_schema_version_is_folded_anew_and_the_counters_stay_correct() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(24), filled(36)]).await;
    let b = stream(&jars, "b", &[filled(120)]).await;
    jars.projector::<1>().catch_up(&[request(&a, &[1]), b.clone()]).await;
    assert_eq!(inventory(&jars).await, (2, 144));

    // New code folds the view with a new commit anew. The other view keeps its contribution for now.
    jars.projector::<2>().catch_up(&[request(&a, &[2])]).await;
    assert_eq!((level::<2>(&jars, "a").await, inventory(&jars).await), ((2, current("a", 5)), (2, 125)));
    // A reader with new code folds the other view in memory.
    let reader = Reader::new(jars.levels::<2>(), jars.events());
    let ReadOutcome::Found { view, .. } = reader.read("b", None).await.unwrap() else { panic!() };
    assert_eq!(view.level, 10);
    // A rebuild catches up all streams.
    let report = jars
        .projector::<2>()
        .catch_up(&[CatchUpRequest::new(a.stream.clone()), CatchUpRequest::new(b.stream.clone())])
        .await;
    assert_eq!((report.failed.len(), inventory(&jars).await), (0, (2, 15)));

    // Older code does not write newer views, and reports them.
    let report = jars.projector::<1>().catch_up(&[a.clone(), b]).await;
    assert_eq!(report.failed.len(), 2);
    assert!(report.failed.values().all(|failure| matches!(**failure, StoreError::NewerSchema { .. })));
    assert_eq!(inventory(&jars).await, (2, 15));
}

#[tokio::test]
async fn a_view_that_is_folded_anew_never_gets_a_lower_version() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(12), filled(24), filled(36), filled(48)]).await;
    jars.projector::<1>().catch_up(std::slice::from_ref(&a)).await;
    // Newer code gets the first two commits late.
    let report = jars.projector::<2>().catch_up(&[request(&a, &[1, 2])]).await;
    assert_eq!((level::<2>(&jars, "a").await, inventory(&jars).await), ((4, current("a", 10)), (1, 10)));
    assert_eq!(report.failed.len(), 0);
}

#[tokio::test]
async fn a_fold_that_panics_parks_only_its_own_stream_in_its_own_projection() {
    let jars = Jars::start().await;
    let panicking = stream(&jars, "panicking", &[filled(1), filled(PANIC_AMOUNT)]).await;
    let fine = stream(&jars, "fine", &[filled(1)]).await;
    let report = jars.projector::<1>().catch_up(&[panicking.clone(), fine]).await;
    assert_eq!((report.parked.keys().collect::<Vec<_>>(), report.failed.len()), (vec![&panicking.stream], 0));
    assert_eq!((visits(&jars, "panicking").await, visits(&jars, "fine").await), (Some(2), Some(1)));
    // The commit before the panic is applied and counted.
    assert_eq!((level::<1>(&jars, "panicking").await, inventory(&jars).await), ((1, current("panicking", 1)), (2, 2)));
    // Code of another schema version tries again.
    let report = jars.projector::<2>().catch_up(&[panicking]).await;
    assert_eq!((report.parked.len(), report.skipped), (1, 0));
}

#[tokio::test]
async fn only_the_view_that_is_too_large_is_parked() {
    let jars = Jars::start().await;
    let mut requests = Vec::new();
    for number in 0..7 {
        requests.push(stream(&jars, &format!("small-{number}"), &[filled(1)]).await);
    }
    let note = JarEvent::Filled { amount: 1, note: "x".repeat(300_000) };
    let large = stream(&jars, "large", &[note.clone(), note]).await;
    requests.insert(3, large.clone());
    let report = jars.projector::<1>().catch_up(&requests).await;
    assert_eq!((report.parked.keys().collect::<Vec<_>>(), report.failed.len()), (vec![&large.stream], 0));
    assert_eq!((report.views_written, inventory(&jars).await), (7 + 8, (7, 7)));
    assert_eq!(jars.levels::<1>().parked().await.unwrap()[0].parked.reason, "the view cannot be stored");
}

#[tokio::test]
async fn a_chunk_stays_within_the_bytes_of_a_transaction() {
    let jars = Jars::start().await;
    let note = JarEvent::Filled { amount: 1, note: "x".repeat(300_000) };
    let mut requests = Vec::new();
    for number in 0..20 {
        requests.push(stream(&jars, &format!("jar-{number}"), std::slice::from_ref(&note)).await);
    }
    let report = jars.projector::<1>().catch_up(&requests).await;
    assert_eq!((report.failed.len(), inventory(&jars).await), (0, (20, 20)));
}

#[tokio::test]
async fn a_write_whose_response_is_dropped_is_not_counted_twice() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(3)]).await;
    // The SDK gives up, so the next attempt has another token.
    jars.interceptor.inject("TransactWriteItems", Fault::ResponseDropped, 10);
    let report = jars.projector::<1>().catch_up(&[a]).await;
    assert_eq!((report.failed.len(), inventory(&jars).await), (0, (1, 3)));
}

#[tokio::test]
async fn a_damaged_view_is_folded_anew() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(3), filled(4)]).await;
    let projector = jars.projector::<1>();
    projector.catch_up(&[request(&a, &[1])]).await;
    let update = jars.dynamo.client.update_item().table_name(jars.table("levels"));
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let update =
        update.key("jar", text("a")).update_expression("SET #l = :l").expression_attribute_names("#l", "level");
    update.expression_attribute_values(":l", text("much")).send().await.unwrap();
    projector.catch_up(&[request(&a, &[2])]).await;
    assert_eq!((level::<1>(&jars, "a").await, inventory(&jars).await), ((2, current("a", 7)), (1, 7)));
}

#[tokio::test]
async fn a_view_without_its_version_is_folded_anew() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(3)]).await;
    let key = aws_sdk_dynamodb::types::AttributeValue::S("a".to_owned());
    jars.dynamo.client.put_item().table_name(jars.table("levels")).item("jar", key).send().await.unwrap();
    let report = jars.projector::<1>().catch_up(&[a]).await;
    assert_eq!((report.failed.len(), inventory(&jars).await), (0, (1, 3)));
}

#[tokio::test]
async fn counters_can_be_read_during_writes() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(3)]).await;
    jars.projector::<1>().catch_up(&[a]).await;
    jars.interceptor.inject("TransactGetItems", Fault::Conflict, 3);
    assert_eq!(inventory(&jars).await, (1, 3));
    jars.interceptor.inject("TransactGetItems", Fault::Conflict, usize::MAX);
    assert!(matches!(jars.inventory().row("all").await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn streams_without_a_projection_are_counted_as_unhandled() {
    let jars = Jars::start().await;
    let other = CatchUpRequest::new(StreamId::try_from("lamp#1".to_owned()).unwrap());
    let report = jars.projector::<1>().catch_up(&[other]).await;
    assert_eq!((report.unhandled, report.failed.len()), (1, 0));
}

/// All permutations of four commits, each split into two requests at every position.
#[tokio::test]
async fn every_order_and_split_of_four_commits_ends_in_the_same_views() {
    let events = [filled(10), JarEvent::Emptied { amount: 4 }, filled(1), JarEvent::Emptied { amount: 2 }];
    let expected = Jar::replay(&events).level;
    for order in permutations(&[1, 2, 3, 4]) {
        for cut in 0..=4 {
            let jars = Jars::start().await;
            let all = stream(&jars, "a", &events).await;
            for versions in [&order[..cut], &order[cut..]] {
                if !versions.is_empty() {
                    jars.projector::<1>().catch_up(&[request(&all, versions)]).await;
                }
            }
            assert_eq!(level::<1>(&jars, "a").await, (4, current("a", expected)), "{order:?} split at {cut}");
            assert_eq!((inventory(&jars).await, visits(&jars, "a").await), ((1, i128::from(expected)), Some(4)));
        }
    }
}

fn permutations(items: &[u64]) -> Vec<Vec<u64>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, first) in items.iter().enumerate() {
        let rest: Vec<u64> = [&items[..at], &items[at + 1..]].concat();
        all.extend(permutations(&rest).into_iter().map(|rest| [vec![*first], rest].concat()));
    }
    all
}
