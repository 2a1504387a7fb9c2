//! Processes (process managers): each reacts to the events of one source stream with commands and timers.
//!
//! A process is the dual of an [`Aggregate`]: an aggregate decides commands and returns events, a process gets events and
//! returns commands. It acts also when nothing happens, by timers.
//!
//! Each source stream has one instance of the process. The instance's own stream has the name of the process as its
//! category and the key of the source stream. It records what the process has reacted to, its timers, and the outcomes
//! of its commands: a [`ProcessFact`] each. [`Instance`] folds it.

mod fact;
mod instance;
mod pending_timers;

use std::{
    fmt::{self, Debug, Display},
    str::FromStr,
};

use jiff::{Timestamp, Unit};
use serde::Serialize;

pub use self::{
    fact::{CommandOutcome, CommandSent, ProcessEvent, ProcessFact, SourceFollowed, TimerFact},
    instance::{Instance, InstanceError, PendingCommand, Step},
    pending_timers::{BUCKETS, PendingTimers, TimersOfInstance},
};
use crate::{Aggregate, Event, Recorded, StreamId};

/// Reacts to events and to due timers with commands and timers. The implementing type is the configuration, such as the
/// length of a deadline.
///
/// Both functions are pure, total and without a clock: an event has the time of its commit, a timer its due time. So a
/// repeated reaction, for example after a crash, returns the same commands and timers.
pub trait Process: Sized + Send + Sync + 'static {
    /// The events of the source streams.
    type Source: Event;
    /// The aggregate that receives the commands. The JSON of a command is a part of its stored fingerprint and must not
    /// change. The name of a rejection, such as `already-shipped`, is stored as the reason.
    type Target: Aggregate<Command: Serialize, Rejection: Copy + Into<&'static str>>;
    /// The timers of an instance, by name. Names are stored: they may be added, but never renamed or removed.
    type Timer: Copy + FromStr + Into<&'static str> + Send + Sync + 'static;
    /// The facts about the past that a reaction needs. Its [`Default`] is the state before the first event.
    type State: Clone + Default + Send + Sync;

    /// The name of the process: the category of its streams. Unique among all categories.
    const NAME: &'static str;
    /// The name of the read model of pending timers ([`PendingTimers`]), such as `shipping-timers`.
    const TIMERS: &'static str;

    /// Configures the process. `setting` returns the value of a setting, such as `SHIP_WITHIN_HOURS`: an environment
    /// variable of the deployed function.
    ///
    /// # Errors
    /// The first setting that is missing or invalid.
    fn configure(setting: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSetting>;

    /// Returns the state after the trigger. Contains no rules, because the trigger has already happened.
    #[must_use]
    fn evolve(state: Self::State, trigger: &Trigger<'_, Self>) -> Self::State;

    /// Returns the commands and timers that the trigger causes. `state` includes the trigger.
    fn react(&self, state: &Self::State, trigger: &Trigger<'_, Self>) -> Reaction<Self>;

    /// Returns the caller of the process's commands: `process:` and its name.
    fn caller() -> String {
        format!("process:{}", Self::NAME)
    }
}

/// A setting of a process that is missing or invalid.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the setting {name} must be {expected}")]
pub struct InvalidSetting {
    pub name: &'static str,
    /// A noun, such as `a number of hours`.
    pub expected: &'static str,
}

/// `main` prints its error with `Debug`, so this is the readable message.
impl Debug for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// The cause of a reaction.
pub enum Trigger<'a, P: Process> {
    /// An event of the source stream.
    Event(Recorded<'a, P::Source>),
    /// A timer of the instance whose time has come.
    Due(DueTimer<'a, P::Timer>),
}

/// A timer whose time has come.
#[derive(Clone, Copy, Debug)]
pub struct DueTimer<'a, T> {
    /// The source stream.
    pub stream: &'a StreamId,
    pub timer: T,
    /// The time that the timer was set to. It fires then or later.
    pub due: Timestamp,
}

impl<P: Process> Trigger<'_, P> {
    /// Returns the key of the source stream.
    pub fn key(&self) -> &str {
        match self {
            Self::Event(recorded) => recorded.stream.key(),
            Self::Due(timer) => timer.stream.key(),
        }
    }
}

/// The commands and timers that a trigger causes.
pub struct Reaction<P: Process> {
    pub commands: Vec<PlannedCommand<<P::Target as Aggregate>::Command>>,
    pub timers: Vec<TimerChange<P::Timer>>,
}

/// A command that a process sends.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedCommand<C> {
    pub stream: StreamId,
    pub command: C,
}

/// A change to one timer of an instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimerChange<T> {
    /// Sets the timer, or moves it to another time.
    Set(T, Timestamp),
    /// Cancels the timer. Changes nothing if the timer is not set.
    Cancel(T),
}

impl<P: Process> Reaction<P> {
    /// The reaction to a trigger that needs none.
    pub fn none() -> Self {
        Self { commands: Vec::new(), timers: Vec::new() }
    }

    /// Adds a command to the target instance `key`. It is decided once, however often the reaction is repeated.
    #[must_use]
    pub fn send(mut self, key: impl Display, command: <P::Target as Aggregate>::Command) -> Self {
        let stream = StreamId::of::<<P::Target as Aggregate>::Event>(key);
        self.commands.push(PlannedCommand { stream, command });
        self
    }

    /// Sets the timer, or moves it if it is set. A timer that is set when another one fires must be due after that one.
    /// The time is rounded to the microsecond.
    #[must_use]
    pub fn set(mut self, timer: P::Timer, due: Timestamp) -> Self {
        let due = due.round(Unit::Microsecond).unwrap_or(due);
        self.timers.push(TimerChange::Set(timer, due));
        self
    }

    /// Cancels the timer, if it is set.
    #[must_use]
    pub fn cancel(mut self, timer: P::Timer) -> Self {
        self.timers.push(TimerChange::Cancel(timer));
        self
    }
}

#[cfg(test)]
mod tests;
