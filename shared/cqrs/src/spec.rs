//! Given/when/then: the business rules as sentences.
//!
//! The steps are types, so that a specification without a `when` or a `then` does not compile.

use std::fmt::Debug;

use jiff::Timestamp;

use crate::{Aggregate, CommandId, Commit, Event, Fingerprint, Projection, StreamId, Version};

/// Given that these events happened …
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given { state: A::replay(&events.into_iter().collect::<Vec<_>>()) }
}

/// The aggregate's past.
#[must_use = "a specification needs a `when`"]
pub struct Given<A> {
    state: A,
}

impl<A: Aggregate> Given<A> {
    /// … when this is asked …
    pub fn when(self, command: A::Command) -> When<A> {
        When { outcome: self.state.decide(command) }
    }
}

/// The aggregate's decision.
#[must_use = "a specification needs a `then`"]
pub struct When<A: Aggregate> {
    outcome: Result<Vec<A::Event>, A::Rejection>,
}

impl<A: Aggregate> When<A>
where
    A::Event: Debug + PartialEq,
    A::Rejection: Debug + PartialEq,
{
    /// … then this happens.
    ///
    /// # Panics
    /// If something else happens: the specification does not hold.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) {
        assert_eq!(self.outcome, Ok(events.into_iter().collect()));
    }

    /// … then it is rejected, for this reason.
    ///
    /// # Panics
    /// If it is accepted, or rejected for another reason: the specification does not hold.
    #[track_caller]
    pub fn then_rejected(self, rejection: A::Rejection) {
        assert_eq!(self.outcome, Err(rejection));
    }
}

/// Given that a stream holds these commits of one event each, recorded at these times …
pub fn given_stream<P: Projection>(
    key: &str,
    events: impl IntoIterator<Item = (&'static str, P::Event)>,
) -> GivenStream<P> {
    let commits = events.into_iter().zip(1..).map(|((at, event), version)| commit_of(key, version, at, event));
    GivenStream { commits: commits.collect() }
}

/// A commit of one event, as a specification needs it.
///
/// # Panics
/// If `recorded_at` is no RFC 3339 time.
#[track_caller]
#[allow(clippy::panic, reason = "a specification with an unreadable time cannot go on")]
pub fn commit_of<E: Event>(key: &str, version: u64, recorded_at: &str, event: E) -> Commit<E> {
    let Ok(recorded_at) = recorded_at.parse::<Timestamp>() else { panic!("no time: {recorded_at}") };
    Commit {
        stream: StreamId::of::<E>(key),
        version: Version::new(version),
        command_id: CommandId::derived("spec", &version.to_string()),
        fingerprint: Fingerprint::of(&[]),
        recorded_at,
        caller: "spec".to_owned(),
        trace: None,
        events: vec![event],
    }
}

/// A stream to be folded.
#[must_use = "a specification needs a `then`"]
pub struct GivenStream<P: Projection> {
    commits: Vec<Commit<P::Event>>,
}

impl<P: Projection> GivenStream<P>
where
    P::View: Debug + PartialEq,
{
    /// … then this is the view, and it is the same after it was stored and read on the way.
    ///
    /// # Panics
    /// If the view is another one: the specification does not hold.
    #[track_caller]
    pub fn then(self, view: impl Into<Option<P::View>>) {
        let view = view.into();
        assert_eq!(P::fold(None, &self.commits), view);
        let stored = self.commits.iter().fold(None, |view: Option<P::View>, commit| {
            let view =
                view.and_then(|view| serde_json::to_value(view).ok()).and_then(|v| serde_json::from_value(v).ok());
            P::fold(view, [commit])
        });
        assert_eq!(stored, view, "a view that was stored and read folds differently");
    }
}
