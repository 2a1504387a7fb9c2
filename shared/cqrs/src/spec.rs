//! Given/when/then tests of aggregates, projections and processes.
//!
//! Each step has a type of its own, so a specification without a `when` or a `then` does not compile. Every event of a
//! specification is also encoded and decoded: an event that could not be read again fails the test.

mod golden;
mod process;

use std::fmt::Debug;

use jiff::Timestamp;

pub use self::{
    golden::assert_golden,
    process::{GivenSource, Reacted, given_source},
};
use crate::{
    Aggregate, CommandId, Commit, Event, EventRecord, Fingerprint, Projection, PublicRecord, Publication, StreamId,
    Version,
};

/// The time at which [`Given::when`] decides.
pub const DECIDED_AT: &str = "2026-11-22T10:00:00Z";

/// Starts a specification with the state after `events`.
///
/// # Panics
/// If an event does not survive storage.
#[track_caller]
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A>
where
    A::Event: Debug + PartialEq,
{
    let events: Vec<_> = events.into_iter().collect();
    events.iter().for_each(assert_survives_storage);
    Given { state: A::replay(&events) }
}

/// Asserts that an event is equal after it is encoded and decoded.
///
/// # Panics
/// If the event does not encode, does not decode, or differs.
#[track_caller]
fn assert_survives_storage<E: Event + Debug + PartialEq>(event: &E) {
    assert_eq!(stored(event).decode::<E>().map_err(|error| error.to_string()).as_ref(), Ok(event));
}

#[track_caller]
#[allow(clippy::panic, reason = "an event that cannot be stored must fail the test")]
fn stored<E: Event + Debug>(event: &E) -> EventRecord {
    EventRecord::encode(event).unwrap_or_else(|error| panic!("{event:?} cannot be stored: {error}"))
}

/// The state of an aggregate before the command.
#[must_use = "a specification needs a `when`"]
pub struct Given<A> {
    state: A,
}

impl<A: Aggregate> Given<A> {
    /// Decides `command` in the given state, at [`DECIDED_AT`].
    pub fn when(self, command: A::Command) -> When<A> {
        self.when_at(command, DECIDED_AT)
    }

    /// Decides `command` in the given state, at an RFC 3339 time.
    ///
    /// # Panics
    /// If `at` is not an RFC 3339 time.
    #[track_caller]
    pub fn when_at(self, command: A::Command, at: &str) -> When<A> {
        When { outcome: self.state.decide(command, time(at)) }
    }
}

/// The decision on the command.
#[must_use = "a specification needs a `then`"]
pub struct When<A: Aggregate> {
    outcome: Result<Vec<A::Event>, A::Rejection>,
}

impl<A: Aggregate> When<A>
where
    A::Event: Debug + PartialEq,
    A::Rejection: Debug + PartialEq,
{
    /// Asserts that the command causes exactly `events`.
    ///
    /// # Panics
    /// If it causes other events or is rejected.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) {
        self.outcome.iter().flatten().for_each(assert_survives_storage);
        assert_eq!(self.outcome, Ok(events.into_iter().collect()));
    }

    /// Asserts that the command is rejected with `rejection`.
    ///
    /// # Panics
    /// If it is accepted, or rejected for another reason.
    #[track_caller]
    pub fn then_rejected(self, rejection: A::Rejection) {
        assert_eq!(self.outcome, Err(rejection));
    }
}

/// Starts a specification with a stream: one commit for each event, recorded at the given RFC 3339 time.
pub fn given_stream<P: Projection>(
    key: &str,
    events: impl IntoIterator<Item = (&'static str, P::Event)>,
) -> GivenStream<P> {
    let commits = events.into_iter().zip(1..).map(|((at, event), version)| commit_of(key, version, at, event));
    GivenStream { commits: commits.collect() }
}

/// Starts a specification with an event that is recorded at [`DECIDED_AT`].
pub fn when_recorded<P: Publication>(event: P::Event) -> WhenRecorded<P> {
    WhenRecorded { commit: commit_of("1", 1, DECIDED_AT, event) }
}

/// An event that may be published.
#[must_use = "a specification needs a `then`"]
pub struct WhenRecorded<P: Publication> {
    commit: Commit<P::Event>,
}

impl<P: Publication> WhenRecorded<P>
where
    P::Event: Debug + PartialEq,
    P::Public: Debug + PartialEq,
{
    /// Asserts that other systems hear of the event as `public`, or not at all. The event must survive storage, and
    /// the public event must have a listed schema version.
    ///
    /// # Panics
    /// If another public event is published, or it cannot be encoded.
    #[track_caller]
    pub fn then_published(self, public: impl Into<Option<P::Public>>) {
        self.commit.events.iter().for_each(assert_survives_storage);
        let published: Vec<_> = self.commit.recorded().filter_map(P::publish).collect();
        assert_eq!(published, public.into().into_iter().collect::<Vec<_>>());
        if let Err(error) = PublicRecord::of::<P>(None, &self.commit) {
            unencodable(&error);
        }
    }
}

#[track_caller]
#[allow(clippy::panic, reason = "an event that cannot be published must fail the test")]
fn unencodable(error: &serde_json::Error) -> ! {
    panic!("the public event cannot be encoded: {error}")
}

/// Builds a commit of one event.
///
/// # Panics
/// If `recorded_at` is not an RFC 3339 time.
#[track_caller]
pub fn commit_of<E: Event>(key: &str, version: u64, recorded_at: &str, event: E) -> Commit<E> {
    Commit {
        stream: StreamId::of::<E>(key),
        version: Version::new(version),
        command_id: CommandId::derived("spec", &version.to_string()),
        fingerprint: Fingerprint::of(&[]),
        recorded_at: time(recorded_at),
        caller: "spec".to_owned(),
        trace: None,
        previous: None,
        hash: None,
        events: vec![event],
    }
}

#[track_caller]
#[allow(clippy::panic, reason = "a specification with an invalid time must fail")]
fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|_| panic!("not an RFC 3339 time: {text}"))
}

/// A stream to fold.
#[must_use = "a specification needs a `then`"]
pub struct GivenStream<P: Projection> {
    commits: Vec<Commit<P::Event>>,
}

impl<P: Projection> GivenStream<P>
where
    P::Event: Debug + PartialEq,
    P::View: Debug + PartialEq,
{
    /// Asserts that the stream folds to `view`, also if the view is serialized and read back before every commit.
    ///
    /// # Panics
    /// If the stream folds to another view.
    #[track_caller]
    pub fn then(self, view: impl Into<Option<P::View>>) {
        let view = view.into();
        self.commits.iter().flat_map(|commit| &commit.events).for_each(assert_survives_storage);
        assert_eq!(P::fold(None, &self.commits), view);
        let stored = self.commits.iter().fold(None, |view: Option<P::View>, commit| {
            let view =
                view.and_then(|view| serde_json::to_value(view).ok()).and_then(|v| serde_json::from_value(v).ok());
            P::fold(view, [commit])
        });
        assert_eq!(stored, view, "the fold differs if the view is stored and read between commits");
    }
}
