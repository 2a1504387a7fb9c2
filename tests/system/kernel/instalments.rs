//! Changes of a view that exceed one transaction are written in instalments.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use cqrs::{ReadModel, ReadModels, StreamId, Version};
use cqrs_dynamodb::{CatchUpRequest, Generation, InGeneration, Projector, ReadOutcome, Reader, views::Content};
use jiff::Timestamp;
use local::engine::interceptor::Fault;

use super::{
    Jars,
    catch_up::{request, stream},
    jar::{JarEvent, filled},
    jar_beside::{Labels, WordsWritten, levels, note},
};

/// A filling with this number of words. Its amount is not counted by the tally of words.
fn labelled(first: usize, number: usize) -> JarEvent {
    JarEvent::Filled { amount: 2, note: note(first, number) }
}

/// Stops a future after a number of polls, like an invocation that dies.
struct Interrupted<F> {
    future: Pin<Box<F>>,
    polls: usize,
}

fn interrupted<F: Future>(polls: usize, future: F) -> Interrupted<F> {
    Interrupted { future: Box::pin(future), polls }
}

impl<F: Future> Future for Interrupted<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        self.future.as_mut().poll(context).map(Some)
    }
}

/// Delivers the request until it succeeds. Each delivery is interrupted after one more transaction, and the tables are
/// checked after each. Returns the number of deliveries.
async fn deliver_step_by_step(jars: &Jars, request: &CatchUpRequest) -> usize {
    let version = async || {
        jars.stored_levels::<1>().await.get(request.stream.key()).map_or(0, |view| view.position.version.get())
    };
    let before = version().await;
    for delivery in 1..20 {
        // A request with the first commit assumes that there is no item yet; its first transaction notices the item.
        let notices = usize::from(delivery > 1 && request.commits.contains_key(&Version::FIRST));
        jars.interceptor.inject_after("TransactWriteItems", notices + 1, Fault::AccessDenied, 1);
        let report = jars.projector_of_all::<1>().catch_up(std::slice::from_ref(request)).await;
        jars.interceptor.clear_faults();
        jars.check_tables().await;
        assert_eq!(report.parked.len(), 0);
        if report.failed.is_empty() {
            return delivery;
        }
        assert_eq!(version().await, before, "an instalment leaves the view");
    }
    panic!("no end after 20 deliveries")
}

async fn sizes(jars: &Jars) -> (usize, usize) {
    (jars.counters("words").await.rows().count(), jars.labels().await.len())
}

#[tokio::test]
async fn a_contribution_of_250_rows_and_as_many_labels_is_written_right() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[labelled(0, 250)]).await;
    jars.interceptor.take_costs();
    let report = jars.projector_of_all::<1>().catch_up(&[a]).await;
    assert_eq!((report.views_written, report.commits(), report.failed.len()), (2, 1, 0), "levels and visits");
    let transactions =
        jars.interceptor.take_costs().iter().filter(|(operation, _)| operation == "TransactWriteItems").count();
    // 500 rows and one of the inventory, at most 99 beside the view's item.
    assert_eq!((transactions, sizes(&jars).await), (6, (250, 250)));
    assert_eq!(jars.level::<1>("a").await.0, 1);
    jars.check_tables().await;
    assert!(jars.items("levels").await[0].get("instalments").is_none());
}

#[tokio::test]
async fn a_crash_between_instalments_is_continued_by_the_next_delivery() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[labelled(0, 120)]).await;
    assert_eq!(deliver_step_by_step(&jars, &a).await, 3);
    assert_eq!((sizes(&jars).await, jars.level::<1>("a").await.0), ((120, 120), 1));
    let again = jars.projector_of_all::<1>().catch_up(&[a]).await;
    assert_eq!((again.views_written, again.duplicates), (0, 2));
}

#[tokio::test]
async fn readers_see_the_old_view_until_the_last_instalment() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[filled(3), labelled(0, 120)]).await;
    let projector = jars.projector_of_all::<1>();
    projector.catch_up(&[request(&a, &[1])]).await;
    jars.interceptor.inject_after("TransactWriteItems", 1, Fault::AccessDenied, 1);
    projector.catch_up(&[request(&a, &[2])]).await;
    let Content::Current(view) = jars.level::<1>("a").await.1 else { panic!() };
    assert_eq!((view.level, jars.level::<1>("a").await.0), (3, 1));
    let reader = Reader::new(jars.levels::<1>(), jars.events());
    let ReadOutcome::Found { view, .. } = reader.read("a", Some(Version::new(2))).await.unwrap() else { panic!() };
    assert_eq!(view.level, 5);
    // Meanwhile, a verification finds the view behind, and the counters correct.
    let verified = projector
        .verify(std::slice::from_ref(&a.stream), Timestamp::MAX)
        .await
        .unwrap()
        .views
        .remove("levels")
        .unwrap();
    assert_eq!((verified.behind.len(), verified.defective.len()), (1, 0));
    for (table, counters) in projector.counters().await.unwrap() {
        assert_eq!(verified.counters.get(&table).cloned().unwrap_or_default(), counters, "{table}");
    }
}

#[tokio::test]
async fn a_stream_whose_first_view_is_in_instalments_is_read_from_its_events() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[labelled(0, 120)]).await;
    jars.interceptor.inject_after("TransactWriteItems", 1, Fault::AccessDenied, 1);
    jars.projector_of_all::<1>().catch_up(&[a]).await;
    assert_eq!(jars.level::<1>("a").await, (0, Content::Deleted));
    let reader = Reader::new(jars.levels::<1>(), jars.events());
    let ReadOutcome::Found { view, version, .. } = reader.read("a", None).await.unwrap() else { panic!() };
    assert_eq!((view.level, version), (2, Version::FIRST));
}

#[tokio::test]
async fn deleting_a_view_and_folding_a_stale_one_anew_take_instalments_too() {
    let jars = Jars::start().await;
    let mut a = stream(&jars, "a", &[labelled(0, 120), JarEvent::Emptied { amount: 2 }]).await;
    deliver_step_by_step(&jars, &request(&a, &[1])).await;
    // All 120 labels change.
    assert_eq!(deliver_step_by_step(&jars, &request(&a, &[2])).await, 2);
    let smashed = jars.append(cqrs::spec::commit_of("a", 3, "2026-11-22T10:00:00Z", JarEvent::Smashed {})).await;
    a.observe(smashed.version, Some(smashed));
    assert_eq!(deliver_step_by_step(&jars, &request(&a, &[3])).await, 3);
    assert_eq!((sizes(&jars).await, jars.level::<1>("a").await), ((0, 0), (3, Content::Deleted)));

    let b = stream(&jars, "b", &[filled(24)]).await;
    let bare = jars.projector::<1>();
    bare.catch_up(std::slice::from_ref(&b)).await;
    jars.append(cqrs::spec::commit_of("b", 2, "2026-11-22T10:00:00Z", labelled(0, 120))).await;
    bare.catch_up(&[CatchUpRequest::new(b.stream.clone())]).await;
    let newer = jars.projector_of_all::<2>();
    jars.interceptor.inject_after("TransactWriteItems", 1, Fault::AccessDenied, 1);
    newer.catch_up(&[CatchUpRequest::new(b.stream.clone())]).await;
    jars.check_tables().await;
    // Older code continues with its own view, whatever part the newer code has written.
    let old = jars.projector_of_all::<1>();
    jars.append(cqrs::spec::commit_of("b", 3, "2026-11-22T10:00:00Z", filled(12))).await;
    old.catch_up(&[CatchUpRequest::new(b.stream.clone())]).await;
    jars.check_tables().await;
    newer.catch_up(&[CatchUpRequest::new(b.stream)]).await;
    jars.check_tables().await;
    assert_eq!(jars.level::<2>("b").await.0, 3);
}

#[tokio::test]
async fn tallies_advance_by_whole_commits() {
    let jars = Jars::start().await;
    let written = |first, number| JarEvent::Filled { amount: 1, note: note(first, number) };
    let a = stream(&jars, "a", &[written(0, 60), written(60, 60), written(0, 99)]).await;
    deliver_step_by_step(&jars, &a).await;
    let counters = jars.counters("words-written").await;
    assert_eq!((counters.get("word-0", "written"), counters.get("word-119", "written")), (2, 1));
}

#[tokio::test]
async fn a_poison_after_a_large_commit_parks_the_stream_with_the_last_instalment() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[labelled(0, 120), filled(super::jar::PANIC_AMOUNT)]).await;
    let report = jars.projector_of_all::<1>().catch_up(&[a]).await;
    assert_eq!((report.parked.len(), report.failed.len()), (1, 0));
    assert_eq!((jars.level::<1>("a").await.0, sizes(&jars).await), (1, (120, 120)));
    jars.check_tables().await;
}

/// The read models in a race. Rows alone and a tally alone prove that the condition compares each part of the
/// bookkeeping: with all read models, an instalment usually changes several parts.
#[derive(Clone, Copy, Debug)]
enum Racing {
    All,
    Rows,
    Tally,
}

fn racing_projector(jars: &Jars, racing: Racing) -> Projector {
    let levels = match racing {
        Racing::All => levels::<1>(),
        Racing::Rows => ReadModel::new().rows::<Labels<1>>(),
        Racing::Tally => ReadModel::new().tally::<WordsWritten<1>>(),
    };
    jars.builder().add(levels).build().unwrap()
}

/// Two projectors write the same stream, each dies at some poll, and both are delivered again.
#[tokio::test]
async fn projectors_that_race_and_die_between_instalments_end_in_the_same_tables() {
    let written = |first, number| JarEvent::Filled { amount: 1, note: note(first, number) };
    let events: Vec<JarEvent> = (0..10).map(|commit| written(commit * 60, 90)).collect();
    for racing in [Racing::All, Racing::Rows, Racing::Tally] {
        let reference = Jars::start().await;
        let all = stream(&reference, "a", &events).await;
        racing_projector(&reference, racing).catch_up(&[all]).await;
        let tables =
            async |jars: &Jars| (jars.level::<1>("a").await, sizes(jars).await, jars.counters("words-written").await);
        let expected = tables(&reference).await;
        assert_eq!(expected.0.0, 10, "not parked");

        for seed in 0..4 {
            let jars = Jars::start().await;
            let all = stream(&jars, "a", &events).await;
            let (first, second) = (racing_projector(&jars, racing), racing_projector(&jars, racing));
            let (some, others) = ([request(&all, &[1, 2, 3, 4, 5, 6])], [CatchUpRequest::new(all.stream.clone())]);
            for round in 0..4 {
                let polls = |multiplier: usize| 10 + (seed * multiplier + round * 7) % 40;
                tokio::join!(
                    interrupted(polls(5), first.catch_up(&some)),
                    interrupted(polls(11), second.catch_up(&others)),
                );
                jars.check_tables().await;
            }
            let last = [CatchUpRequest::new(StreamId::of::<JarEvent>("a"))];
            let (first, second) = tokio::join!(first.catch_up(&last), second.catch_up(&last));
            assert_eq!((first.failed.len(), second.failed.len()), (0, 0), "{racing:?}, seed {seed}");
            assert_eq!(tables(&jars).await, expected, "{racing:?}, seed {seed}");
            jars.check_tables().await;
        }
    }
}

#[tokio::test]
async fn a_contribution_of_many_rows_is_counted_into_another_generation_in_instalments() {
    let jars = Jars::start().await;
    let a = stream(&jars, "a", &[labelled(0, 250)]).await;
    let projector = jars.projector_of_all::<1>();
    projector.catch_up(std::slice::from_ref(&a)).await;
    let mut building = Vec::new();
    for (name, table) in projector.counters_tables() {
        building.push((*name, table.begin_generation().await.unwrap().building.unwrap()));
    }
    jars.interceptor.inject_after("TransactWriteItems", 1, Fault::AccessDenied, 1);
    projector.catch_up(&[CatchUpRequest::new(a.stream.clone())]).await;
    jars.interceptor.clear_faults();
    let verified = projector.verify(std::slice::from_ref(&a.stream), Timestamp::MAX).await.unwrap();
    assert_eq!(verified.views["levels"].not_built, 1, "a part of the rows is counted");
    projector.catch_up(&[CatchUpRequest::new(a.stream.clone())]).await;
    let counters = projector.counters().await.unwrap();
    for (name, generation) in building {
        let [served, built] =
            [Generation::FIRST, generation].map(|generation| &counters[&InGeneration::new(name, generation)]);
        assert_eq!(served, built, "{name}");
    }
    let verified = projector.verify(&[a.stream], Timestamp::MAX).await.unwrap();
    assert_eq!((verified.views["levels"].not_built, verified.views["levels"].defective.len()), (0, 0));
}
