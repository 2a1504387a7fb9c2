//! Aggregates: the consistency boundary. One instance decides one command at a time.

use crate::Event;

/// Decides commands and evolves by events. The implementing type is the state; its [`Default`] is the state before the
/// first event.
///
/// Both functions are total, synchronous and without a clock. A time that the domain needs is the commit's
/// `recorded_at`; ids and prices come in with the command.
pub trait Aggregate: Default + Send + Sync {
    /// A request in the imperative, such as `Place`.
    type Command: Clone + Send + Sync;
    /// A fact in the past tense, such as `Placed`.
    type Event: Event;
    /// A business reason, such as `AlreadyShipped`.
    type Rejection: Send + Sync;

    /// Returns the events that `command` causes in this state. Contains the business rules. An empty list accepts the
    /// command and commits nothing.
    ///
    /// # Errors
    /// The rejection, if a rule forbids the command in this state.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// Returns the state after `event`. Contains no rules, because the event has already happened.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// Returns the state after `events`, starting from the default state.
    fn replay<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self
    where
        Self::Event: 'a,
    {
        events.into_iter().fold(Self::default(), Self::evolve)
    }
}
