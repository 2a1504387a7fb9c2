//! The state of one instance, and its next steps.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    DueTimer, PlannedCommand, Process, ProcessEvent, ProcessFact, Reaction, SourceFollowed, TimerChange, TimerFact,
    Trigger,
};
use crate::{Aggregate, CommandId, Commit, Position, StreamId, Version};

/// The state of an instance, folded from its own stream and its source stream.
pub struct Instance<P: Process> {
    source: StreamId,
    state: P::State,
    followed: Position,
    /// The pending timers, by name.
    timers: BTreeMap<String, Timestamp>,
}

/// The reaction to one trigger: facts to record, and commands to send.
pub struct Step<P: Process> {
    /// The changes to timers, after the firing if the trigger is a timer.
    pub facts: Vec<ProcessFact>,
    pub commands: Vec<PendingCommand<<P::Target as Aggregate>::Command>>,
}

/// A command to send, with its id.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingCommand<C> {
    /// The same whenever the trigger is handled again.
    pub id: CommandId,
    pub stream: StreamId,
    pub command: C,
}

/// An instance cannot go on. The message contains no stored data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstanceError {
    /// The source stream does not have the commit that the process has followed.
    #[error("the source stream lacks the commit that the process followed at version {0}")]
    OtherHistory(Version),
    /// The stream has a timer that this code does not know.
    #[error("the process does not know one of its timers")]
    UnknownTimer,
    /// A firing set a timer that is not due after it. The timers would fire for ever.
    #[error("a timer that a firing sets must be due after it")]
    TimerNotLater,
}

impl<P: Process> Instance<P> {
    /// Returns the instance of a source stream, before it has reacted to anything.
    pub fn new(source: StreamId) -> Self {
        Self { source, state: P::State::default(), followed: Position::START, timers: BTreeMap::new() }
    }

    /// Returns the stream of the instance of a source stream.
    pub fn stream_of(source: &StreamId) -> StreamId {
        StreamId::of::<ProcessEvent<P>>(source.key())
    }

    /// Folds the instance's own stream and its source stream.
    ///
    /// # Errors
    /// [`InstanceError::OtherHistory`] if the source stream is not the one that the process has followed;
    /// [`InstanceError::UnknownTimer`].
    pub fn replay(
        source: &StreamId,
        own: &[Commit<ProcessEvent<P>>],
        source_commits: &[Commit<P::Source>],
    ) -> Result<Self, InstanceError> {
        let mut instance = Self::new(source.clone());
        let facts = own.iter().flat_map(|commit| &commit.events).map(|event| &event.fact);
        for fact in facts {
            instance.apply(fact, source_commits)?;
        }
        Ok(instance)
    }

    /// Returns the last source commit that the process has reacted to.
    pub fn followed(&self) -> Position {
        self.followed
    }

    /// Returns the pending timers, by name.
    pub fn timers(&self) -> &BTreeMap<String, Timestamp> {
        &self.timers
    }

    /// Reacts to the next commit of the source stream: a step for each event. [`followed`](Self::followed_fact) is to
    /// be recorded before them.
    pub fn follow(&mut self, process: &P, commit: &Commit<P::Source>) -> Vec<Step<P>> {
        let mut steps = Vec::with_capacity(commit.events.len());
        for recorded in commit.recorded() {
            let id = recorded.id();
            let trigger = Trigger::Event(recorded);
            let reaction = self.react(process, &trigger);
            steps.push(self.step(&id, Vec::new(), reaction));
        }
        self.followed = commit.position();
        steps
    }

    /// Returns the fact that the process has followed its source to the present position.
    pub fn followed_fact(&self) -> ProcessFact {
        let Position { version, hash } = self.followed;
        ProcessFact::SourceFollowed(SourceFollowed { version, hash })
    }

    /// Fires the earliest timer that is due at `now`. Returns `None` if there is none.
    ///
    /// The source stream must be followed to its head first, so that an event that came before the firing can cancel
    /// the timer.
    ///
    /// # Errors
    /// [`InstanceError::UnknownTimer`], [`InstanceError::TimerNotLater`].
    pub fn fire_next(&mut self, process: &P, now: Timestamp) -> Result<Option<Step<P>>, InstanceError> {
        let earliest = self.timers.iter().min_by_key(|(_, due)| **due).map(|(name, due)| (name.clone(), *due));
        match earliest {
            Some((name, due)) if due <= now => self.fire(process, &name, due).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// Fires the pending timers up to the one whose command made this commit of the source stream, if there is one.
    ///
    /// An earlier attempt sent the command and ended before it recorded the firing. The events of the commit may cancel
    /// the timer, so the firing comes first, as in the earlier attempt.
    pub fn fire_cause_of(&mut self, process: &P, commit: &Commit<P::Source>) -> Vec<Step<P>> {
        if commit.caller != P::caller() {
            return Vec::new();
        }
        let mut attempt = self.clone();
        let mut steps = Vec::new();
        // An error appears again when the timer is fired later.
        while let Ok(Some(step)) = attempt.fire_next(process, commit.recorded_at) {
            let is_cause = |sent: &PendingCommand<_>| sent.stream == commit.stream && sent.id == commit.command_id;
            let is_last = step.commands.iter().any(is_cause);
            steps.push(step);
            if is_last {
                *self = attempt;
                return steps;
            }
        }
        Vec::new()
    }

    fn fire(&mut self, process: &P, name: &str, due: Timestamp) -> Result<Step<P>, InstanceError> {
        let source = self.source.clone();
        let timer = name.parse().map_err(|_| InstanceError::UnknownTimer)?;
        let trigger = Trigger::Due(DueTimer { stream: &source, timer, due });
        self.timers.remove(name);
        let reaction = self.react(process, &trigger);
        if reaction.timers.iter().any(|change| matches!(change, TimerChange::Set(_, next) if *next <= due)) {
            return Err(InstanceError::TimerNotLater);
        }
        let id = format!("{}/{name}/{due}", Self::stream_of(&source));
        let fired = ProcessFact::TimerFired(TimerFact { timer: name.to_owned(), due });
        Ok(self.step(&id, vec![fired], reaction))
    }

    fn react(&mut self, process: &P, trigger: &Trigger<'_, P>) -> Reaction<P> {
        self.state = P::evolve(std::mem::take(&mut self.state), trigger);
        process.react(&self.state, trigger)
    }

    /// Applies the changes of timers, and gives the commands their ids. `trigger` identifies the trigger in all streams.
    fn step(&mut self, trigger: &str, mut facts: Vec<ProcessFact>, reaction: Reaction<P>) -> Step<P> {
        for change in reaction.timers {
            match change {
                TimerChange::Set(timer, due) => {
                    let timer: &'static str = timer.into();
                    if self.timers.insert(timer.to_owned(), due) != Some(due) {
                        facts.push(ProcessFact::TimerSet(TimerFact { timer: timer.to_owned(), due }));
                    }
                }
                TimerChange::Cancel(timer) => {
                    let timer: &'static str = timer.into();
                    if let Some(due) = self.timers.remove(timer) {
                        facts.push(ProcessFact::TimerCancelled(TimerFact { timer: timer.to_owned(), due }));
                    }
                }
            }
        }
        let pending = |(number, PlannedCommand { stream, command }): (usize, _)| PendingCommand {
            id: CommandId::of_process(P::NAME, trigger, number),
            stream,
            command,
        };
        Step { facts, commands: reaction.commands.into_iter().enumerate().map(pending).collect() }
    }

    /// Applies a recorded fact.
    fn apply(&mut self, fact: &ProcessFact, source_commits: &[Commit<P::Source>]) -> Result<(), InstanceError> {
        match fact {
            ProcessFact::SourceFollowed(SourceFollowed { version, hash }) => {
                let position = Position { version: *version, hash: *hash };
                let new = source_commits
                    .iter()
                    .filter(|commit| commit.version > self.followed.version && commit.version <= *version);
                let mut reached = self.followed;
                for commit in new {
                    for recorded in commit.recorded() {
                        let trigger = Trigger::Event(recorded);
                        self.state = P::evolve(std::mem::take(&mut self.state), &trigger);
                    }
                    reached = commit.position();
                }
                if reached != position {
                    return Err(InstanceError::OtherHistory(*version));
                }
                self.followed = position;
            }
            ProcessFact::TimerSet(TimerFact { timer, due }) => {
                self.timers.insert(timer.clone(), *due);
            }
            ProcessFact::TimerCancelled(TimerFact { timer, .. }) => {
                self.timers.remove(timer);
            }
            ProcessFact::TimerFired(TimerFact { timer, due }) => {
                self.timers.remove(timer);
                let timer = timer.parse().map_err(|_| InstanceError::UnknownTimer)?;
                let trigger = Trigger::Due(DueTimer { stream: &self.source, timer, due: *due });
                self.state = P::evolve(std::mem::take(&mut self.state), &trigger);
            }
            ProcessFact::CommandSent(_) => {}
        }
        Ok(())
    }
}

// A derived implementation would require `Clone` of `P`.
impl<P: Process> Clone for Instance<P> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            state: self.state.clone(),
            followed: self.followed,
            timers: self.timers.clone(),
        }
    }
}
