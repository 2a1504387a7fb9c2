//! The consistency boundary: one instance decides one command at a time.

use crate::Event;

/// Decides commands and evolves by events. The implementing type is the state; its [`Default`] is the state before
/// the first event.
///
/// Both functions are total and synchronous. A time that the domain needs is the commit's `recorded_at`; ids and
/// prices come in with the command.
pub trait Aggregate: Default + Send + Sync {
    /// What is asked, in the imperative.
    type Command: Clone + Send + Sync;
    /// What happened, in the past tense.
    type Event: Event;
    /// Why not: a reason of the business.
    type Rejection: Send + Sync;

    /// The business rules: the events that the command causes in this state. No events: accepted, nothing to commit.
    ///
    /// # Errors
    /// The rejection, when a rule forbids the command in this state.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The state after `event`. Holds no rules: an event happened, whatever the rules say today.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// The state after all of `events`, from the state before the first one.
    fn replay<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self
    where
        Self::Event: 'a,
    {
        events.into_iter().fold(Self::default(), Self::evolve)
    }
}
