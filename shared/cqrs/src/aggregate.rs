//! Aggregates: the consistency boundary. One instance decides one command at a time.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;

use crate::Event;

/// Decides commands and evolves by events. The implementing type is the state; its [`Default`] is the state before the
/// first event.
///
/// Both functions are total, synchronous and without a clock. Ids and prices come in with the command.
pub trait Aggregate: Default + Send + Sync {
    /// Identifies an instance: the part of its stream id after the `#`.
    type Key: FromStr + Display + Send;
    /// A request in the imperative, such as `Place`.
    type Command: Clone + Send + Sync;
    /// A fact in the past tense, such as `Placed`.
    type Event: Event;
    /// A business reason, such as `AlreadyShipped`.
    type Rejection: Send + Sync;

    /// Facts about the state that the response to a rejected command shows, such as `order_status`.
    fn facts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Returns the events that `command` causes in this state. Contains the business rules. An empty list accepts the
    /// command and commits nothing.
    ///
    /// `at` is the `recorded_at` of the commit that the events will be part of, so that a rule can refuse a due date in
    /// the past. It is never before the previous commit. After a version conflict the command is decided again, at a
    /// new time. A repeat of an accepted command is not decided again, and `at` is not part of the fingerprint.
    ///
    /// # Errors
    /// The rejection, if a rule forbids the command in this state.
    fn decide(&self, command: Self::Command, at: Timestamp) -> Result<Vec<Self::Event>, Self::Rejection>;

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
