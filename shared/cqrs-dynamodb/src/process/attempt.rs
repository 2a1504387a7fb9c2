//! One attempt of a run: the reactions to what is new, up to the commit that records them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cqrs::{
    Aggregate, Commit, Fingerprint, Process, ProcessEvent, StreamId,
    process::{CommandOutcome, CommandSent, Instance, InstanceError, PendingCommand, ProcessFact, Step},
};
use jiff::Timestamp;

use super::{ProcessError, ProcessReport, defect};
use crate::{CommandError, CommandRequest, EventStore, StoreError, create_or_execute};

/// The number of events after which a round ends, so that its commit is far below the size limit.
const MAX_EVENTS: usize = 200;

/// An attempt at a run.
pub(super) struct Attempt<'a, P: Process> {
    events: &'a EventStore,
    process: &'a P,
    source: &'a StreamId,
    instance: Instance<P>,
    head: Option<&'a Commit<ProcessEvent<P>>>,
    /// The position of the instance is not recorded by `round`.
    is_ahead: bool,
    round: Round<P>,
}

/// The progress of an attempt, and the events that record it.
pub(super) struct Round<P> {
    pub(super) events: Vec<ProcessEvent<P>>,
    /// The trace of the last source commit with a reaction.
    pub(super) trace: Option<String>,
    pub(super) report: ProcessReport,
    /// Nothing is left to react to.
    pub(super) is_complete: bool,
}

impl<'a, P: Process> Attempt<'a, P> {
    pub(super) fn new(
        events: &'a EventStore,
        process: &'a P,
        source: &'a StreamId,
        instance: Instance<P>,
        head: Option<&'a Commit<ProcessEvent<P>>>,
    ) -> Self {
        let round = Round { events: Vec::new(), trace: None, report: ProcessReport::default(), is_complete: false };
        Self { events, process, source, instance, head, is_ahead: false, round }
    }

    /// Reacts to the source commits after the position of the instance, then to the timers that are due at `now`.
    pub(super) async fn run(mut self, commits: &[Commit<P::Source>], now: Timestamp) -> Result<Round<P>, ProcessError> {
        let followed = self.instance.followed().version;
        for commit in commits.iter().filter(|commit| commit.version > followed) {
            if self.is_full() {
                return Ok(self.end(false));
            }
            for step in self.guarded(|instance, process| Ok(instance.fire_cause_of(process, commit)))? {
                self.record_firing(step, commit.trace.as_deref(), now).await?;
            }
            let steps = self.guarded(|instance, process| Ok(instance.follow(process, commit)))?;
            self.round.report.followed += 1;
            self.is_ahead = true;
            if steps.iter().any(|step| !step.facts.is_empty() || !step.commands.is_empty()) {
                self.round.trace.clone_from(&commit.trace);
                self.record_position();
            }
            for step in steps {
                self.record(step, commit.trace.as_deref()).await?;
            }
        }
        while !self.is_full() {
            let Some(step) = self.guarded(|instance, process| instance.fire_next(process, now))? else {
                return Ok(self.end(true));
            };
            self.record_firing(step, None, now).await?;
        }
        Ok(self.end(false))
    }

    fn is_full(&self) -> bool {
        self.round.events.len() >= MAX_EVENTS
    }

    /// Ends the round. Its commit also records the last position, so that the next run need not react again.
    fn end(mut self, is_complete: bool) -> Round<P> {
        if !self.round.events.is_empty() {
            self.record_position();
        }
        self.round.is_complete = is_complete;
        self.round.report.pending = self.instance.timers().clone();
        self.round
    }

    /// Calls the code of the process. A panic stops only this instance.
    fn guarded<T>(
        &mut self,
        call: impl FnOnce(&mut Instance<P>, &P) -> Result<T, InstanceError>,
    ) -> Result<T, StoreError> {
        let called = catch_unwind(AssertUnwindSafe(|| call(&mut self.instance, self.process)));
        let called = called.map_err(|_| StoreError::bug(format!("the code of the process {} panicked", P::NAME)))?;
        called.map_err(|error| defect(error, self.source, self.head))
    }

    /// Records the position of the instance, unless it is recorded.
    fn record_position(&mut self) {
        if std::mem::take(&mut self.is_ahead) {
            self.round.events.push(self.instance.followed_fact().into());
        }
    }

    async fn record_firing(&mut self, step: Step<P>, trace: Option<&str>, now: Timestamp) -> Result<(), ProcessError> {
        // A replay must reach the same position before the firing.
        self.record_position();
        let due = step.facts.iter().find_map(|fact| match fact {
            ProcessFact::TimerFired(timer) => Some(timer.due),
            ProcessFact::SourceFollowed(_)
            | ProcessFact::TimerSet(_)
            | ProcessFact::TimerCancelled(_)
            | ProcessFact::CommandSent(_) => None,
        });
        self.round.report.fired.extend(due.map(|due| now.duration_since(due)));
        self.record(step, trace).await
    }

    /// Records the facts of a step, sends its commands, and records the outcomes.
    async fn record(&mut self, step: Step<P>, trace: Option<&str>) -> Result<(), ProcessError> {
        self.round.events.extend(step.facts.into_iter().map(ProcessEvent::from));
        for command in step.commands {
            let (stream, command_id) = (command.stream.clone(), command.id.clone());
            let outcome = self.send(command, trace).await?;
            match &outcome {
                CommandOutcome::Accepted { .. } => self.round.report.accepted += 1,
                CommandOutcome::Rejected { .. } => self.round.report.rejected += 1,
                CommandOutcome::SentBefore {} => self.round.report.sent_before.push(stream.clone()),
            }
            let sent = ProcessFact::CommandSent(CommandSent { stream, command_id, outcome });
            self.round.events.push(sent.into());
        }
        Ok(())
    }

    async fn send(
        &self,
        command: PendingCommand<<P::Target as Aggregate>::Command>,
        trace: Option<&str>,
    ) -> Result<CommandOutcome, ProcessError> {
        let PendingCommand { id, stream, command } = command;
        let canonical = serde_json::to_string(&command).map_err(StoreError::bug)?;
        let request = CommandRequest {
            command_id: id,
            fingerprint: Fingerprint::of(&[stream.as_str(), &canonical]),
            expected_version: None,
            caller: P::caller(),
            trace: trace.map(str::to_owned),
            command,
            stream,
        };
        match create_or_execute::<P::Target>(self.events, &request, |_| true).await {
            Ok(executed) => Ok(CommandOutcome::Accepted { version: executed.version }),
            Err(CommandError::Rejected { rejection, .. }) => {
                let reason: &'static str = rejection.into();
                Ok(CommandOutcome::Rejected { reason: reason.to_owned() })
            }
            Err(CommandError::IdempotencyKeyReused) => Ok(CommandOutcome::SentBefore {}),
            Err(CommandError::Contended) => Err(ProcessError::Contended),
            Err(CommandError::Store(error)) => Err(error.into()),
            Err(CommandError::NotFound | CommandError::VersionMismatch { .. }) => {
                Err(StoreError::bug("a process expects no version and needs no authorization").into())
            }
        }
    }
}
