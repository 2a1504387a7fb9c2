//! A process that reminds of a loan: its timer is set when a book is lent, moved when the loan is renewed, and cancelled
//! when the book is returned. The third reminder reports the book as lost.

use std::str::FromStr;

use serde::Deserialize;

use super::*;
use crate::{
    CommandId, Commit, CommitHash, Version,
    spec::{assert_golden, commit_of, given_source, given_stream},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum LoanEvent {
    #[serde(rename = "loan.lent")]
    Lent { until: Timestamp },
    #[serde(rename = "loan.renewed")]
    Renewed { until: Timestamp },
    #[serde(rename = "loan.returned")]
    Returned {},
    #[serde(rename = "loan.lost")]
    Lost {},
}

impl Event for LoanEvent {
    const CATEGORY: &'static str = "loan";
    const SCHEMAS: &'static [(&'static str, u32)] =
        &[("loan.lent", 1), ("loan.renewed", 1), ("loan.returned", 1), ("loan.lost", 1)];
}

#[derive(Default)]
struct Loan;

#[derive(Clone, Debug, PartialEq, Serialize)]
enum LoanCommand {
    Remind { number: u32 },
    ReportLost,
}

impl Aggregate for Loan {
    type Key = String;
    type Command = LoanCommand;
    type Event = LoanEvent;
    type Rejection = &'static str;

    fn decide(&self, _: LoanCommand, _: Timestamp) -> Result<Vec<LoanEvent>, &'static str> {
        Ok(vec![LoanEvent::Lost {}])
    }

    fn evolve(self, _: &LoanEvent) -> Self {
        self
    }
}

/// Reminds again every so many hours.
#[derive(Clone, Copy)]
struct Reminders {
    every_hours: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Timer {
    Remind,
    /// Fires at once, and sets itself at the same time.
    Broken,
}

impl From<Timer> for &'static str {
    fn from(timer: Timer) -> Self {
        match timer {
            Timer::Remind => "remind",
            Timer::Broken => "broken",
        }
    }
}

impl FromStr for Timer {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Remind, Self::Broken].into_iter().find(|timer| <&str>::from(*timer) == name).ok_or(())
    }
}

impl Process for Reminders {
    type Source = LoanEvent;
    type Target = Loan;
    type Timer = Timer;
    /// The number of reminders.
    type State = u32;

    const NAME: &'static str = "reminders";
    const TIMERS: &'static str = "reminder-timers";

    fn configure(_: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSetting> {
        Ok(Self { every_hours: 24 })
    }

    fn evolve(reminders: u32, trigger: &Trigger<'_, Self>) -> u32 {
        match trigger {
            Trigger::Event(_) => reminders,
            Trigger::Due(_) => reminders + 1,
        }
    }

    fn react(&self, reminders: &u32, trigger: &Trigger<'_, Self>) -> Reaction<Self> {
        match trigger {
            Trigger::Event(recorded) => match recorded.event {
                LoanEvent::Lent { until } | LoanEvent::Renewed { until } => Reaction::none().set(Timer::Remind, *until),
                LoanEvent::Returned {} | LoanEvent::Lost {} => Reaction::none().cancel(Timer::Remind),
            },
            Trigger::Due(DueTimer { timer: Timer::Broken, due, .. }) => Reaction::none().set(Timer::Broken, *due),
            Trigger::Due(_) if *reminders == 3 => Reaction::none().send(trigger.key(), LoanCommand::ReportLost),
            Trigger::Due(DueTimer { due, .. }) => Reaction::none()
                .send(trigger.key(), LoanCommand::Remind { number: *reminders })
                .set(Timer::Remind, *due + jiff::SignedDuration::from_hours(self.every_hours)),
        }
    }
}

const LENT: &str = "2026-11-22T10:00:00Z";
const DAILY: Reminders = Reminders { every_hours: 24 };

fn until(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn lent() -> (&'static str, LoanEvent) {
    (LENT, LoanEvent::Lent { until: until("2026-11-24T10:00:00Z") })
}

fn commit(version: u64, event: LoanEvent) -> Commit<LoanEvent> {
    Commit { hash: Some(CommitHash::of(&version.to_string())), ..commit_of("7", version, LENT, event) }
}

/// The stream of the instance: one commit with these facts.
fn own(facts: Vec<ProcessFact>) -> Vec<Commit<ProcessEvent<Reminders>>> {
    let events = facts.into_iter().map(ProcessEvent::from).collect();
    let template = commit_of("7", 1, LENT, ProcessEvent::from(set("remind", LENT)));
    vec![Commit { events, ..template }]
}

fn set(timer: &str, due: &str) -> ProcessFact {
    ProcessFact::TimerSet(TimerFact { timer: timer.to_owned(), due: until(due) })
}

fn fired(timer: &str, due: &str) -> ProcessFact {
    ProcessFact::TimerFired(TimerFact { timer: timer.to_owned(), due: until(due) })
}

fn cancelled(timer: &str, due: &str) -> ProcessFact {
    ProcessFact::TimerCancelled(TimerFact { timer: timer.to_owned(), due: until(due) })
}

fn followed(version: u64) -> ProcessFact {
    let hash = Some(CommitHash::of(&version.to_string()));
    ProcessFact::SourceFollowed(SourceFollowed { version: Version::new(version), hash })
}

/// The facts and the ids of the commands of these steps.
fn results(steps: impl IntoIterator<Item = Step<Reminders>>) -> (Vec<ProcessFact>, Vec<CommandId>) {
    let (mut facts, mut commands) = (Vec::new(), Vec::new());
    for step in steps {
        facts.extend(step.facts);
        commands.extend(step.commands.into_iter().map(|command| command.id));
    }
    (facts, commands)
}

#[test]
fn an_event_sets_a_timer() {
    let (at, event) = lent();
    given_source(DAILY, "7", []).when(at, event).then([], [(Timer::Remind, "2026-11-24T10:00:00Z")]);
}

#[test]
fn a_timer_that_is_set_again_is_moved() {
    let renewed = LoanEvent::Renewed { until: until("2026-11-30T10:00:00Z") };
    given_source(DAILY, "7", [lent()])
        .when("2026-11-23T10:00:00Z", renewed)
        .then([], [(Timer::Remind, "2026-11-30T10:00:00Z")]);
}

#[test]
fn a_timer_is_cancelled() {
    given_source(DAILY, "7", [lent()]).when("2026-11-23T10:00:00Z", LoanEvent::Returned {}).then([], []);
}

#[test]
fn a_due_timer_sends_a_command_and_sets_the_next_timer() {
    given_source(DAILY, "7", [lent()])
        .when_due(Timer::Remind)
        .then([("7", LoanCommand::Remind { number: 1 })], [(Timer::Remind, "2026-11-25T10:00:00Z")]);
}

#[test]
fn the_state_counts_fired_timers() {
    given_source(DAILY, "7", [lent()])
        .fired(Timer::Remind)
        .fired(Timer::Remind)
        .when_due(Timer::Remind)
        .then([("7", LoanCommand::ReportLost)], []);
}

#[test]
#[should_panic(expected = "remind is not the next timer to fire")]
fn a_specification_fires_only_pending_timers() {
    given_source(DAILY, "7", [lent(), ("2026-11-23T10:00:00Z", LoanEvent::Returned {})])
        .when_due(Timer::Remind)
        .then([], []);
}

#[test]
fn a_replayed_instance_goes_on_like_the_one_that_recorded_the_facts() {
    let source = [commit(1, lent().1), commit(2, LoanEvent::Returned {})];
    let mut first = Instance::<Reminders>::new(source[0].stream.clone());
    let mut facts = results(first.follow(&DAILY, &source[0])).0;
    facts.insert(0, first.followed_fact());
    let now = until("2026-11-25T09:00:00Z");
    facts.extend(results(first.fire_next(&DAILY, now).unwrap()).0);
    assert_eq!(
        facts,
        [
            followed(1),
            set("remind", "2026-11-24T10:00:00Z"),
            fired("remind", "2026-11-24T10:00:00Z"),
            set("remind", "2026-11-25T10:00:00Z"),
        ]
    );
    let mut replayed = Instance::replay(&source[0].stream, &own(facts), &source).unwrap();
    assert_eq!((replayed.followed(), replayed.timers()), (first.followed(), first.timers()));
    assert!(replayed.fire_next(&DAILY, now).unwrap().is_none(), "the next reminder is not due");
    let later = until("2026-11-25T10:00:00Z");
    let ids = results(first.fire_next(&DAILY, later).unwrap()).1;
    assert_eq!(results(replayed.fire_next(&DAILY, later).unwrap()).1, ids);
    let expected = cancelled("remind", "2026-11-26T10:00:00Z");
    assert_eq!(results(replayed.follow(&DAILY, &source[1])).0, [expected]);
}

#[test]
fn the_id_of_a_command_is_derived_from_process_trigger_and_number() {
    let mut instance = Instance::<Reminders>::new(commit(1, lent().1).stream);
    drop(instance.follow(&DAILY, &commit(1, lent().1)));
    let (_, ids) = results(instance.fire_next(&DAILY, until("2026-11-24T10:00:00Z")).unwrap());
    assert_eq!(ids, [CommandId::of_process("reminders", "reminders#7/remind/2026-11-24T10:00:00Z", 0)]);
}

#[test]
fn only_changes_of_timers_are_facts() {
    let mut instance = Instance::<Reminders>::new(commit(1, lent().1).stream);
    drop(instance.follow(&DAILY, &commit(1, lent().1)));
    let (again, _) = results(instance.follow(&DAILY, &commit(2, lent().1)));
    assert_eq!(again, []);
    let (first, _) = results(instance.follow(&DAILY, &commit(3, LoanEvent::Returned {})));
    assert_eq!(first.len(), 1);
    let (second, _) = results(instance.follow(&DAILY, &commit(4, LoanEvent::Returned {})));
    assert_eq!(second, []);
}

#[test]
fn a_firing_that_ended_before_it_was_recorded_comes_before_the_commit_that_it_caused() {
    let mut instance = Instance::<Reminders>::new(commit(1, lent().1).stream);
    drop(instance.follow(&DAILY, &commit(1, lent().1)));
    let mut attempt = instance.clone();
    let (facts, ids) = results(attempt.fire_next(&DAILY, until("2026-11-24T10:00:00Z")).unwrap());
    let recorded_at = until("2026-11-24T10:00:01Z");
    let caller = Reminders::caller();
    let caused = Commit { command_id: ids[0].clone(), caller, recorded_at, ..commit(2, LoanEvent::Lost {}) };
    let other = Commit { caller: "anna".to_owned(), ..caused.clone() };
    assert!(instance.fire_cause_of(&DAILY, &other).is_empty());
    let other = Commit { command_id: CommandId::derived("anna", "1"), ..caused.clone() };
    assert!(instance.fire_cause_of(&DAILY, &other).is_empty());
    assert_eq!(results(instance.fire_cause_of(&DAILY, &caused)), (facts, ids));
    assert!(instance.fire_cause_of(&DAILY, &caused).is_empty(), "a timer fires once");
}

#[test]
fn a_source_stream_with_another_history_is_refused() {
    let facts = vec![followed(2)];
    let source = |second: &str| {
        [commit(1, lent().1), Commit { hash: Some(CommitHash::of(second)), ..commit(2, LoanEvent::Returned {}) }]
    };
    let replay = |commits: &[Commit<LoanEvent>]| {
        let replayed = Instance::<Reminders>::replay(&commits[0].stream, &own(facts.clone()), commits);
        replayed.map(|instance| instance.followed().version.get())
    };
    assert_eq!(replay(&source("2")), Ok(2));
    let refused = Err(InstanceError::OtherHistory(Version::new(2)));
    assert_eq!(replay(&source("another")), refused);
    assert_eq!(replay(&source("2")[..1]), refused);
}

#[test]
fn a_timer_that_the_code_does_not_know_stops_the_instance_when_it_is_due() {
    let stream = commit(1, lent().1).stream;
    let replay = |facts| Instance::<Reminders>::replay(&stream, &own(facts), &[]);
    let mut instance = replay(vec![set("fine", "2026-11-24T10:00:00Z")]).unwrap();
    assert!(instance.fire_next(&DAILY, until("2026-11-24T09:00:00Z")).unwrap().is_none());
    let error = instance.fire_next(&DAILY, until("2026-11-24T10:00:00Z")).err();
    assert_eq!(error, Some(InstanceError::UnknownTimer));
    assert_eq!(replay(vec![fired("fine", LENT)]).err(), Some(InstanceError::UnknownTimer));
}

#[test]
fn a_firing_cannot_set_a_timer_that_is_not_due_after_it() {
    let stream = commit(1, lent().1).stream;
    let mut instance = Instance::<Reminders>::replay(&stream, &own(vec![set("broken", LENT)]), &[]).unwrap();
    assert_eq!(instance.fire_next(&DAILY, until(LENT)).err(), Some(InstanceError::TimerNotLater));
}

#[test]
fn the_stored_facts_never_change() {
    let stream = StreamId::of::<LoanEvent>("7");
    let sent = |outcome| {
        let command_id = CommandId::of_process("reminders", "loan#7/1/0", 0);
        ProcessFact::CommandSent(CommandSent { stream: stream.clone(), command_id, outcome })
    };
    let samples = [
        followed(3),
        set("remind", "2026-11-24T10:00:00Z"),
        cancelled("remind", "2026-11-24T10:00:00Z"),
        fired("remind", "2026-11-24T10:00:00Z"),
        sent(CommandOutcome::Accepted { version: Version::new(4) }),
    ];
    assert_golden::<ProcessEvent<Reminders>>("golden/process", samples.map(ProcessEvent::from));
    for (outcome, stored) in [
        (CommandOutcome::Rejected { reason: "lost".to_owned() }, r#"{"rejected":{"reason":"lost"}}"#),
        (CommandOutcome::SentBefore {}, r#"{"sent_before":{}}"#),
    ] {
        assert_eq!(serde_json::to_string(&outcome).unwrap(), stored);
        assert_eq!(serde_json::from_str::<CommandOutcome>(stored).unwrap(), outcome);
    }
}

#[test]
fn a_hash_in_a_fact_must_be_64_hexadecimal_digits() {
    let read =
        |hash: String| serde_json::from_value::<SourceFollowed>(serde_json::json!({ "version": 1, "hash": hash }));
    assert_eq!(read("07".repeat(32)).unwrap().hash, Some(CommitHash::new([7; 32])));
    for hash in ["07".repeat(31), "07".repeat(33), "+7".repeat(32), "ü".repeat(32)] {
        assert!(read(hash).is_err());
    }
}

#[test]
fn the_view_of_pending_timers_has_the_earliest_and_ends_with_the_last() {
    let at = |fact| (LENT, ProcessEvent::from(fact));
    let view = |due: &str, timers: serde_json::Value| -> TimersOfInstance {
        let view = serde_json::json!({ "instance": "7", "bucket": "2", "due": due, "timers": timers });
        serde_json::from_value(view).unwrap()
    };
    let (early, late) = ("2026-11-24T10:00:00Z", "2026-11-26T10:00:00Z");
    let both = || [at(followed(1)), at(set("broken", late)), at(set("remind", early))];
    let stream = |more: Vec<ProcessFact>| {
        given_stream::<PendingTimers<Reminders>>("7", both().into_iter().chain(more.into_iter().map(at)))
    };
    stream(vec![]).then(view(early, serde_json::json!({ "remind": early, "broken": late })));
    stream(vec![fired("remind", early)]).then(view(late, serde_json::json!({ "broken": late })));
    let later = "2026-11-28T10:00:00Z";
    stream(vec![set("remind", later)]).then(view(late, serde_json::json!({ "remind": later, "broken": late })));
    stream(vec![fired("remind", early), cancelled("broken", late)]).then(None);
}
