//! Given/when/then tests of processes.

use std::{collections::BTreeMap, fmt::Debug};

use super::{assert_survives_storage, commit_of, time};
use crate::{
    Aggregate, Commit, Process, ProcessEvent, StreamId,
    process::{Instance, PendingCommand, Step},
};

/// Starts a specification of a process: an instance that has reacted to these events of the source stream `key`, each a
/// commit recorded at the given RFC 3339 time. Its commands were sent.
///
/// # Panics
/// If a time is not an RFC 3339 time, or an event does not survive storage.
#[track_caller]
pub fn given_source<P: Process>(
    process: P,
    key: &str,
    events: impl IntoIterator<Item = (&'static str, P::Source)>,
) -> GivenSource<P>
where
    P::Source: Debug + PartialEq,
{
    let instance = Instance::new(StreamId::of::<P::Source>(key));
    let mut given = GivenSource { process, key: key.to_owned(), instance, version: 0 };
    for (at, event) in events {
        let commit = given.next_commit(at, event);
        drop(given.follow(&commit));
    }
    given
}

/// The instance before the trigger.
#[must_use = "a specification needs a `when`"]
pub struct GivenSource<P: Process> {
    process: P,
    key: String,
    instance: Instance<P>,
    version: u64,
}

impl<P: Process> GivenSource<P>
where
    P::Source: Debug + PartialEq,
{
    /// Fires the pending timer, as a part of the past.
    ///
    /// # Panics
    /// If the timer is not the next one to fire.
    #[track_caller]
    pub fn fired(mut self, timer: P::Timer) -> Self {
        drop(self.fire(timer));
        self
    }

    /// Reacts to an event that is recorded at an RFC 3339 time.
    ///
    /// # Panics
    /// If `at` is not an RFC 3339 time, or an event does not survive storage.
    #[track_caller]
    pub fn when(mut self, at: &str, event: P::Source) -> Reacted<P> {
        let commit = self.next_commit(at, event);
        let steps = self.follow(&commit);
        Reacted { instance: self.instance, steps }
    }

    /// Reacts to the pending timer, at the time that it is due.
    ///
    /// # Panics
    /// If the timer is not the next one to fire, or an event does not survive storage.
    #[track_caller]
    pub fn when_due(mut self, timer: P::Timer) -> Reacted<P> {
        let steps = vec![self.fire(timer)];
        Reacted { instance: self.instance, steps }
    }

    #[track_caller]
    fn next_commit(&mut self, at: &str, event: P::Source) -> Commit<P::Source> {
        assert_survives_storage(&event);
        self.version += 1;
        commit_of(&self.key, self.version, at, event)
    }

    #[track_caller]
    fn follow(&mut self, commit: &Commit<P::Source>) -> Vec<Step<P>> {
        let steps = self.instance.follow(&self.process, commit);
        assert_survives_storage(&ProcessEvent::<P>::from(self.instance.followed_fact()));
        steps.iter().for_each(assert_facts_survive_storage);
        steps
    }

    #[track_caller]
    #[allow(clippy::panic, reason = "a timer that cannot fire must fail the test")]
    fn fire(&mut self, timer: P::Timer) -> Step<P> {
        let name: &'static str = timer.into();
        let next = self.instance.timers().iter().min_by_key(|(_, due)| **due);
        let due = match next {
            Some((next, due)) if next == name => *due,
            _ => panic!("{name} is not the next timer to fire; pending are {:?}", self.instance.timers()),
        };
        match self.instance.fire_next(&self.process, due) {
            Ok(Some(step)) => {
                assert_facts_survive_storage(&step);
                step
            }
            Ok(None) => panic!("{name} is not due"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The reaction to the trigger.
#[must_use = "a specification needs a `then`"]
pub struct Reacted<P: Process> {
    instance: Instance<P>,
    steps: Vec<Step<P>>,
}

impl<P: Process> Reacted<P>
where
    <P::Target as Aggregate>::Command: Debug + PartialEq,
{
    /// Asserts that the process sends exactly `commands`, each to the instance with this key, and that afterwards
    /// exactly the timers of `pending` are pending, each due at an RFC 3339 time.
    ///
    /// # Panics
    /// If it sends other commands, or other timers are pending.
    #[track_caller]
    pub fn then(
        self,
        commands: impl IntoIterator<Item = (&'static str, <P::Target as Aggregate>::Command)>,
        pending: impl IntoIterator<Item = (P::Timer, &'static str)>,
    ) {
        let sent = self.steps.into_iter().flat_map(|step| step.commands);
        let sent: Vec<_> = sent.map(|PendingCommand { stream, command, .. }| (stream, command)).collect();
        let stream_of = StreamId::of::<<P::Target as Aggregate>::Event>;
        let expected: Vec<_> = commands.into_iter().map(|(key, command)| (stream_of(key), command)).collect();
        assert_eq!(sent, expected, "the commands");
        let pending: BTreeMap<&'static str, _> =
            pending.into_iter().map(|(timer, due)| (timer.into(), time(due))).collect();
        let timers: BTreeMap<_, _> = self.instance.timers().iter().map(|(name, due)| (name.as_str(), *due)).collect();
        assert_eq!(timers, pending, "the pending timers");
    }
}

#[track_caller]
fn assert_facts_survive_storage<P: Process>(step: &Step<P>) {
    step.facts.iter().for_each(|fact| assert_survives_storage(&ProcessEvent::<P>::from(fact.clone())));
}
