//! Processes: a jar whose content spoils after an hour, unless it is filled again or smashed.

use std::str::FromStr;

use cqrs::{
    Commit, Process, ProcessEvent, Reaction, ReadModel, StreamId, Trigger, Version,
    process::{CommandOutcome, DueTimer, InvalidSetting, PendingTimers, ProcessFact},
    spec::commit_of,
};
use cqrs_dynamodb::{
    CatchUpRequest, DueInstance, ProcessError, ProcessReport, Projector, StoreError, Views, catch_up_process,
};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use local::{
    engine::interceptor::Fault,
    tables,
    template::{IndexDefinition, Key, TableDefinition},
};

use super::{
    Jars,
    jar::{Jar, JarCommand, JarEvent, PANIC_AMOUNT, filled},
};

/// Takes all that is in a jar an hour after it was filled last, with a warning after 30 minutes. Puts a shard into
/// the jar `shards` for each smashed jar, and one for the tail.
pub(super) struct Spoilage;

#[derive(Clone, Copy, Debug)]
pub(super) enum SpoilageTimer {
    Warn,
    Spoil,
}

impl From<SpoilageTimer> for &'static str {
    fn from(timer: SpoilageTimer) -> Self {
        match timer {
            SpoilageTimer::Warn => "warn",
            SpoilageTimer::Spoil => "spoil",
        }
    }
}

impl FromStr for SpoilageTimer {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Warn, Self::Spoil].into_iter().find(|timer| <&str>::from(*timer) == name).ok_or(())
    }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const HALF_AN_HOUR: SignedDuration = SignedDuration::from_mins(30);

impl Process for Spoilage {
    type Source = JarEvent;
    type Target = Jar;
    type Timer = SpoilageTimer;
    /// The level of the jar.
    type State = u64;

    const NAME: &'static str = "spoilage";
    const TIMERS: &'static str = "spoilage-timers";

    fn configure(_: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSetting> {
        Ok(Self)
    }

    fn evolve(level: u64, trigger: &Trigger<'_, Self>) -> u64 {
        let Trigger::Event(recorded) = trigger else { return level };
        match recorded.event {
            JarEvent::Filled { amount, .. } => level + amount,
            JarEvent::Emptied { amount } => level - amount,
            JarEvent::Smashed {} => 0,
        }
    }

    fn react(&self, level: &u64, trigger: &Trigger<'_, Self>) -> Reaction<Self> {
        use SpoilageTimer::{Spoil, Warn};
        match trigger {
            Trigger::Event(recorded) => match recorded.event {
                JarEvent::Filled { amount, .. } if *amount == PANIC_AMOUNT => panic!("the amount {PANIC_AMOUNT}"),
                JarEvent::Filled { .. } => Reaction::none()
                    .set(Warn, recorded.recorded_at + HALF_AN_HOUR)
                    .set(Spoil, recorded.recorded_at + HOUR),
                JarEvent::Emptied { .. } => Reaction::none(),
                JarEvent::Smashed {} => Reaction::none()
                    .cancel(Warn)
                    .cancel(Spoil)
                    .send("shards", JarCommand::Put(1))
                    .send("shards", JarCommand::Put(1)),
            },
            Trigger::Due(DueTimer { timer: Warn, .. }) => Reaction::none(),
            Trigger::Due(DueTimer { timer: Spoil, .. }) => {
                Reaction::none().send(trigger.key(), JarCommand::Take(*level))
            }
        }
    }
}

fn source() -> StreamId {
    StreamId::of::<JarEvent>("a")
}

impl Jars {
    async fn happens(&self, event: JarEvent) {
        self.happens_in("a", event).await;
    }

    pub(super) async fn happens_in(&self, key: &str, event: JarEvent) {
        let version = self.events().load_stored(&StreamId::of::<JarEvent>(key)).await.unwrap().len() as u64 + 1;
        let now = self.dynamo.environment.now().to_string();
        self.append(commit_of(key, version, &now, event)).await;
    }

    pub(super) fn advance(&self, by: SignedDuration) {
        self.clock.fetch_add(i64::try_from(by.as_millis()).unwrap(), std::sync::atomic::Ordering::SeqCst);
    }

    async fn signal(&self) -> Result<ProcessReport, ProcessError> {
        catch_up_process(&self.events(), &Spoilage, &source()).await
    }

    async fn process_commits(&self) -> Vec<Commit<ProcessEvent<Spoilage>>> {
        self.events().load(&StreamId::of::<ProcessEvent<Spoilage>>("a")).await.unwrap()
    }

    /// What the process has recorded, in short.
    pub(super) async fn recorded(&self) -> Vec<String> {
        let commits = self.process_commits().await;
        commits.iter().flat_map(|commit| &commit.events).map(|event| short(&event.fact)).collect()
    }

    /// The events of a jar.
    pub(super) async fn jar(&self, key: &str) -> Vec<JarEvent> {
        let commits = self.events().load::<JarEvent>(&StreamId::of::<JarEvent>(key)).await.unwrap();
        commits.into_iter().flat_map(|commit| commit.events).collect()
    }
}

fn short(fact: &ProcessFact) -> String {
    match fact {
        ProcessFact::SourceFollowed(source) => format!("followed {}", source.version),
        ProcessFact::TimerSet(timer) => format!("set {}", timer.timer),
        ProcessFact::TimerCancelled(timer) => format!("cancelled {}", timer.timer),
        ProcessFact::TimerFired(timer) => format!("fired {}", timer.timer),
        ProcessFact::CommandSent(sent) => match &sent.outcome {
            CommandOutcome::Accepted { version } => format!("sent {}: accepted as {version}", sent.stream),
            CommandOutcome::Rejected { reason } => format!("sent {}: rejected, {reason}", sent.stream),
            CommandOutcome::SentBefore {} => format!("sent {}: sent before", sent.stream),
        },
    }
}

const FILLED: [&str; 3] = ["followed 1", "set warn", "set spoil"];
const SPOILED: [&str; 3] = ["fired warn", "fired spoil", "sent jar#a: accepted as 2"];

fn filled_then(more: &[&'static str]) -> Vec<&'static str> {
    [&FILLED, more].concat()
}

#[tokio::test]
async fn a_jar_that_nobody_touches_spoils() {
    let jars = Jars::start().await;
    jars.happens(filled(5)).await;
    let report = jars.signal().await.unwrap();
    assert_eq!((report.followed, report.fired.len(), report.pending.len()), (1, 0, 2));
    let due = jars.process_commits().await[0].events.iter().find_map(|event| match &event.fact {
        ProcessFact::TimerSet(timer) => Some(timer.due),
        _ => None,
    });
    assert_eq!(report.next_due(), due);
    jars.advance(HALF_AN_HOUR);
    assert_eq!(jars.signal().await.unwrap().pending.len(), 1);
    jars.advance(HALF_AN_HOUR);
    let report = jars.signal().await.unwrap();
    assert_eq!((report.fired.len(), report.accepted, report.next_due()), (1, 1, None));
    assert_eq!(jars.recorded().await, filled_then(&SPOILED));
    assert_eq!(jars.jar("a").await, [filled(5), JarEvent::Emptied { amount: 5 }]);
    let taken = jars.events().load_stored(&source()).await.unwrap().remove(1);
    assert_eq!(taken.caller, "process:spoilage");
    // The process follows its own command later, without a reaction.
    assert_eq!(jars.signal().await.unwrap().followed, 1);
    assert_eq!(jars.process_commits().await.len(), 3);
}

#[tokio::test]
async fn a_repeated_or_early_signal_records_nothing() {
    let jars = Jars::start().await;
    assert_eq!(jars.signal().await.unwrap().followed, 0);
    jars.happens(filled(5)).await;
    for _ in 0..3 {
        assert_eq!(jars.signal().await.unwrap().pending.len(), 2);
    }
    assert_eq!(jars.process_commits().await.len(), 1);
    jars.interceptor.take_costs();
    jars.signal().await.unwrap();
    let operations: Vec<_> = jars.interceptor.take_costs().into_iter().map(|(operation, _)| operation).collect();
    assert_eq!(operations, ["Query", "Query"]);
}

#[tokio::test]
async fn lost_signals_are_made_up_for_by_a_late_one() {
    let jars = Jars::start().await;
    jars.happens(filled(5)).await;
    jars.happens(filled(1)).await;
    jars.advance(HOUR * 10);
    let report = jars.signal().await.unwrap();
    assert!(report.fired.iter().all(|late| *late > HOUR * 8), "{:?}", report.fired);
    let expected = [&FILLED[..], &["followed 2", "set warn", "set spoil", "fired warn", "fired spoil"]].concat();
    assert_eq!(jars.recorded().await, [&expected[..], &["sent jar#a: accepted as 3"]].concat());
    assert_eq!(jars.jar("a").await[2], JarEvent::Emptied { amount: 6 });
}

#[tokio::test]
async fn an_event_before_the_firing_cancels_or_moves_the_timer_although_it_was_due() {
    let jars = Jars::start().await;
    jars.happens(filled(5)).await;
    jars.signal().await.unwrap();
    jars.advance(HOUR * 2);
    jars.happens(filled(1)).await;
    assert_eq!(jars.signal().await.unwrap().fired.len(), 0);
    jars.advance(HOUR * 2);
    jars.happens(JarEvent::Smashed {}).await;
    let report = jars.signal().await.unwrap();
    assert_eq!((report.fired.len(), report.accepted, report.next_due()), (0, 2, None));
    let moved = ["followed 2", "set warn", "set spoil"];
    let cancelled = ["followed 3", "cancelled warn", "cancelled spoil"];
    let sent = ["sent jar#shards: accepted as 1", "sent jar#shards: accepted as 2"];
    assert_eq!(jars.recorded().await, [&FILLED[..], &moved, &cancelled, &sent].concat());
    assert_eq!(jars.jar("shards").await, [filled(1), filled(1)]);
}

#[tokio::test]
async fn a_rejected_command_is_recorded_and_not_sent_again() {
    let jars = Jars::start().await;
    jars.happens(filled(5)).await;
    jars.signal().await.unwrap();
    jars.advance(HOUR);
    // Somebody takes the content between the read of the jar and the command.
    jars.interceptor.inject_after("Query", 2, Fault::Throttled, usize::MAX);
    let taken = async {
        jars.interceptor.fault_injected().await;
        jars.without_faults().happens(JarEvent::Emptied { amount: 3 }).await;
        jars.interceptor.clear_faults();
    };
    let (report, ()) = tokio::join!(jars.signal(), taken);
    assert_eq!(report.unwrap().rejected, 1);
    let expected = filled_then(&["fired warn", "fired spoil", "sent jar#a: rejected, not-that-much"]);
    assert_eq!(jars.recorded().await, expected);
    jars.signal().await.unwrap();
    assert_eq!(jars.recorded().await, expected);
}

#[tokio::test]
async fn a_run_that_ends_between_command_and_commit_is_repeated_without_a_second_command() {
    for fault in [Fault::AccessDenied, Fault::RequestDropped] {
        let jars = Jars::start().await;
        jars.happens(filled(5)).await;
        jars.signal().await.unwrap();
        jars.advance(HOUR);
        jars.interceptor.inject_after("PutItem", 1, fault, 100);
        jars.signal().await.unwrap_err();
        assert_eq!(jars.recorded().await, FILLED);
        assert_eq!(jars.jar("a").await.len(), 2);
        jars.interceptor.clear_faults();
        jars.signal().await.unwrap();
        assert_eq!(jars.recorded().await, filled_then(&[&SPOILED[..], &["followed 2"]].concat()));
        assert_eq!(jars.jar("a").await.len(), 2);
    }
}

#[tokio::test]
async fn commands_to_another_stream_are_sent_once_although_the_run_is_repeated() {
    let jars = Jars::start().await;
    jars.happens(JarEvent::Smashed {}).await;
    // The first command is written; the second one is not.
    jars.interceptor.inject_after("PutItem", 1, Fault::AccessDenied, 1);
    assert!(matches!(jars.signal().await, Err(ProcessError::Store(StoreError::Denied(_)))));
    assert_eq!(jars.recorded().await, [""; 0]);
    // Both are written; the commit is not.
    jars.interceptor.inject_after("PutItem", 1, Fault::AccessDenied, 1);
    jars.signal().await.unwrap_err();
    jars.signal().await.unwrap();
    let expected = ["followed 1", "sent jar#shards: accepted as 1", "sent jar#shards: accepted as 2"];
    assert_eq!(jars.recorded().await, expected);
    assert_eq!(jars.jar("shards").await.len(), 2);
}

#[tokio::test]
async fn a_lost_answer_to_the_commit_is_resolved() {
    let jars = Jars::start().await;
    jars.happens(filled(5)).await;
    jars.interceptor.inject("PutItem", Fault::ResponseDropped, 1);
    assert_eq!(jars.signal().await.unwrap().pending.len(), 2);
    assert_eq!(jars.recorded().await, FILLED);
}

#[tokio::test]
async fn concurrent_runs_record_and_send_once() {
    let jars = Jars::start().await;
    jars.happens(filled(5)).await;
    jars.advance(HOUR);
    let runs = join_all((0..4).map(|_| jars.signal())).await;
    assert!(runs.iter().any(Result::is_ok), "{runs:?}");
    assert!(runs.iter().all(|run| matches!(run, Ok(_) | Err(ProcessError::Contended))), "{runs:?}");
    assert_eq!(jars.jar("a").await.len(), 2);
    let recorded = jars.recorded().await;
    assert_eq!(recorded.iter().filter(|fact| fact.starts_with("fired spoil")).count(), 1, "{recorded:?}");
    assert_eq!(recorded.iter().filter(|fact| fact.starts_with("sent")).count(), 1, "{recorded:?}");
}

#[tokio::test]
async fn a_run_that_another_one_overtakes_starts_over() {
    let jars = Jars::start().await;
    jars.happens(filled(5)).await;
    jars.interceptor.inject("PutItem", Fault::Throttled, usize::MAX);
    let other = async {
        jars.interceptor.fault_injected().await;
        let others = jars.without_faults();
        others.happens(filled(1)).await;
        let report = others.signal().await.unwrap();
        jars.interceptor.clear_faults();
        report
    };
    let (first, other) = tokio::join!(jars.signal(), other);
    assert_eq!((first.unwrap().followed, other.followed), (0, 2));
    assert_eq!(jars.process_commits().await.len(), 1);
    assert_eq!(jars.recorded().await, filled_then(&["followed 2", "set warn", "set spoil"]));
}

#[tokio::test]
async fn a_command_that_differs_from_the_one_sent_before_is_recorded_as_such() {
    let jars = Jars::start().await;
    jars.happens(JarEvent::Smashed {}).await;
    jars.interceptor.inject_after("PutItem", 2, Fault::AccessDenied, 1);
    jars.signal().await.unwrap_err();
    let shards = jars.events().load::<JarEvent>(&StreamId::of::<JarEvent>("shards")).await.unwrap();
    // As if the code had changed since: the first command of the earlier run had another content.
    let other = Jars::start().await;
    other.happens(JarEvent::Smashed {}).await;
    let changed = Commit { fingerprint: cqrs::Fingerprint::of(&["other"]), ..shards[0].clone() };
    other.append(changed).await;
    let report = other.signal().await.unwrap();
    assert_eq!((report.sent_before, report.accepted), (vec![shards[0].stream.clone()], 1));
    let expected = ["followed 1", "sent jar#shards: sent before", "sent jar#shards: accepted as 2"];
    assert_eq!(other.recorded().await, expected);
}

#[tokio::test]
async fn a_source_that_cannot_be_read_or_followed_stops_only_its_own_instance() {
    let jars = Jars::start().await;
    jars.happens(filled(PANIC_AMOUNT)).await;
    assert!(matches!(jars.signal().await, Err(ProcessError::Store(StoreError::Bug(_)))));
    jars.events().append(&commit_of("b", 2, "2026-11-22T10:00:00Z", filled(1))).await.unwrap();
    let gap = catch_up_process(&jars.events(), &Spoilage, &StreamId::of::<JarEvent>("b")).await;
    assert!(matches!(gap, Err(ProcessError::Store(StoreError::Corrupt { .. }))), "{gap:?}");
    let elsewhere = StreamId::try_from("loan#7".to_owned()).unwrap();
    let refused = catch_up_process(&jars.events(), &Spoilage, &elsewhere).await;
    assert!(matches!(refused, Err(ProcessError::Store(StoreError::Bug(_)))), "{refused:?}");
    jars.happens_in("c", filled(1)).await;
    let other = catch_up_process(&jars.events(), &Spoilage, &StreamId::of::<JarEvent>("c")).await.unwrap();
    assert_eq!(other.pending.len(), 2);
}

#[tokio::test]
async fn a_long_history_is_recorded_in_several_commits() {
    let jars = Jars::start().await;
    let mut previous = None;
    for version in 1..=150 {
        let at = jars.dynamo.environment.now().to_string();
        let commit = Commit { previous, ..commit_of("a", version, &at, filled(1)) };
        let stored = cqrs_dynamodb::commit_item::encode(&commit.encode().unwrap()).unwrap();
        previous = Some(cqrs_dynamodb::commit_item::hash_of(&stored));
        jars.events().append(&commit).await.unwrap();
    }
    jars.advance(HOUR * 2);
    let report = jars.signal().await.unwrap();
    assert_eq!((report.followed, report.fired.len(), report.accepted), (150, 2, 1));
    assert_eq!(jars.process_commits().await.len(), 3);
    assert_eq!(jars.recorded().await.len(), 150 * 3 + 3);
    assert_eq!(jars.jar("a").await[150], JarEvent::Emptied { amount: 150 });
}

/// The table of pending timers, and its projector.
pub(super) async fn timers(jars: &Jars) -> (Projector, Views<PendingTimers<Spoilage>>) {
    let index = PendingTimers::<Spoilage>::BY_DUE;
    let attributes = ["instance", "bucket", "due"].map(|name| (name.to_owned(), "S".to_owned()));
    let definition = TableDefinition {
        attributes: attributes.into(),
        key: Key::new(&["instance"], &[]),
        indexes: vec![IndexDefinition {
            name: index.name.to_owned(),
            key: Key::new(index.partition, &["due", "instance"]),
            projection: "KEYS_ONLY".to_owned(),
            attributes: Vec::new(),
        }],
        stream: None,
    };
    tables::create(&jars.dynamo.client, &jars.table(Spoilage::TIMERS), &definition).await.unwrap();
    let builder = Projector::builder(jars.events(), |name| Some(jars.table(name).into()));
    let projector = cqrs::ReadModels::add(builder, ReadModel::<PendingTimers<Spoilage>>::new()).build().unwrap();
    (projector, Views::new(jars.dynamo.clone(), jars.table(Spoilage::TIMERS)))
}

#[tokio::test]
async fn instances_with_a_due_timer_are_found_the_earliest_first() {
    let jars = Jars::start().await;
    let (projector, views) = timers(&jars).await;
    let mut filled_at = Vec::new();
    for key in ["a", "b", "c", "d", "e", "f"] {
        filled_at.push(jars.dynamo.environment.now());
        jars.happens_in(key, filled(1)).await;
        jars.advance(SignedDuration::from_mins(1));
        let source = StreamId::of::<JarEvent>(key);
        catch_up_process(&jars.events(), &Spoilage, &source).await.unwrap();
        let request = CatchUpRequest::new(StreamId::of::<ProcessEvent<Spoilage>>(key));
        assert_eq!(projector.catch_up(&[CatchUpRequest { head: Some(Version::FIRST), ..request }]).await.commits(), 1);
    }
    let keys = |due: &[DueInstance]| due.iter().map(|due| due.source.key().to_owned()).collect::<Vec<_>>();
    let until = |index: usize| -> Timestamp { filled_at[index] + HALF_AN_HOUR + SignedDuration::from_secs(1) };
    assert!(views.due(filled_at[5], 10).await.unwrap().is_empty());
    assert_eq!(keys(&views.due(until(3), 10).await.unwrap()), ["a", "b", "c", "d"]);
    assert_eq!(keys(&views.due(until(5), 2).await.unwrap()), ["a", "b"]);
    // A spoiled jar has no pending timer, and is no longer listed.
    jars.advance(HOUR);
    jars.signal().await.unwrap();
    let request = CatchUpRequest::new(StreamId::of::<ProcessEvent<Spoilage>>("a"));
    projector.catch_up(&[CatchUpRequest { head: Some(Version::new(2)), ..request }]).await;
    assert_eq!(keys(&views.due(until(5), 10).await.unwrap()), ["b", "c", "d", "e", "f"]);
}
