//! Runs processes: catches an instance up with its source stream, fires its due timers, and sends its commands.
//!
//! A signal only names a source stream. The events of the stream and the timers of the instance come from the event
//! store. So a signal that is lost, repeated or late changes no result, as long as another one follows.

mod attempt;
mod overdue;

use std::collections::BTreeMap;

use cqrs::{
    CommandId, Commit, Event, Fingerprint, Process, ProcessEvent, StreamId, Version,
    process::{Instance, InstanceError},
    recorded_at,
};
use jiff::{SignedDuration, Timestamp};

use self::attempt::Attempt;
pub use self::overdue::DueInstance;
use crate::{EventStore, StoreError, event_store::AppendOutcome};

/// The number of attempts to append before a run fails as [`ProcessError::Contended`].
const ATTEMPTS: u32 = 5;

/// The result of a run.
#[derive(Debug, Default)]
pub struct ProcessReport {
    /// The number of source commits that the process has reacted to.
    pub followed: usize,
    /// The time from the due time of each fired timer to its firing.
    pub fired: Vec<SignedDuration>,
    pub accepted: usize,
    pub rejected: usize,
    /// The targets to which an earlier attempt had sent another command under the same id. The process has changed
    /// between the two attempts; the earlier command was accepted.
    pub sent_before: Vec<StreamId>,
    /// The timers that are pending now, by name. The caller arranges a signal for the earliest.
    pub pending: BTreeMap<String, Timestamp>,
}

/// A run that did not complete. The process's stream has what earlier rounds recorded; a command may have been sent.
/// A repeat of the run continues safely.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Every attempt ended in a version conflict. A retry may succeed.
    #[error("the process or a target of its commands is contended")]
    Contended,
    /// The event store failed, or a stream or the process is defective. A defect stops this instance until the code or
    /// the stream is repaired; other instances are not affected.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProcessReport {
    /// Returns the time at which the earliest timer is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.pending.values().min().copied()
    }

    fn add(&mut self, round: Self) {
        self.followed += round.followed;
        self.fired.extend(round.fired);
        self.accepted += round.accepted;
        self.rejected += round.rejected;
        self.sent_before.extend(round.sent_before);
        self.pending = round.pending;
    }
}

/// Reacts to the new commits of the stream `source`, then to the timers that are due, and records this in one commit.
///
/// The timers fire after the source stream is read, strongly consistent, so an event that came before cancels them. The
/// commands are executed before the commit. If the run ends between the two, a repeat sends the same commands under the
/// same ids, and each is recognized. A rejection is recorded, too. After a version conflict, the run starts over.
///
/// Without a reaction, nothing is written. Costs two queries, the commands, and at most one write unit per KB. A run
/// with very many reactions is divided into several commits.
///
/// # Errors
/// [`ProcessError`].
pub async fn catch_up_process<P: Process>(
    events: &EventStore,
    process: &P,
    source: &StreamId,
) -> Result<ProcessReport, ProcessError> {
    if source.category() != P::Source::CATEGORY {
        let reason = format!("the process {} does not follow streams of {}", P::NAME, source.category());
        return Err(StoreError::bug(reason).into());
    }
    let mut report = ProcessReport::default();
    let mut conflicts = 0;
    loop {
        // The time before the streams are read: an event that was recorded before it is among the loaded ones.
        let now = events.dynamo().environment.now();
        let stream = Instance::<P>::stream_of(source);
        let own = events.load::<ProcessEvent<P>>(&stream).await?;
        let commits = events.load::<P::Source>(source).await?;
        let head = own.last();
        let instance = Instance::replay(source, &own, &commits).map_err(|error| defect(error, source, head))?;
        let attempt = Attempt::new(events, process, source, instance, head);
        let round = attempt.run(&commits, now).await?;
        let is_recorded = round.events.is_empty() || append(events, stream, head, round.events, round.trace).await?;
        if is_recorded {
            report.add(round.report);
            if round.is_complete {
                return Ok(report);
            }
            continue;
        }
        conflicts += 1;
        if conflicts == ATTEMPTS {
            return Err(ProcessError::Contended);
        }
        events.dynamo().back_off(conflicts).await;
    }
}

/// Appends the events of a round. Returns whether they are written, or another run was faster.
async fn append<P: Process>(
    events: &EventStore,
    stream: StreamId,
    head: Option<&Commit<ProcessEvent<P>>>,
    new: Vec<ProcessEvent<P>>,
    trace: Option<String>,
) -> Result<bool, StoreError> {
    let version = head.map_or(Version::NONE, |head| head.version).next();
    let facts = serde_json::to_string(&new).map_err(StoreError::bug)?;
    let commit = Commit {
        command_id: CommandId::of_process(P::NAME, &format!("{stream}/{version}"), 0),
        fingerprint: Fingerprint::of(&[stream.as_str(), &facts]),
        recorded_at: recorded_at(events.dynamo().environment.now(), head.map(|head| head.recorded_at)),
        caller: P::caller(),
        trace,
        previous: head.and_then(|head| head.hash),
        hash: None,
        events: new,
        stream,
        version,
    };
    match events.append(&commit).await? {
        AppendOutcome::Written | AppendOutcome::AlreadyWritten => Ok(true),
        // The id follows from the version, so another run at this version has the same.
        AppendOutcome::IdempotencyKeyReused | AppendOutcome::VersionConflict => Ok(false),
    }
}

/// Returns the error of an instance that cannot go on.
fn defect<P: Process>(error: InstanceError, source: &StreamId, head: Option<&Commit<ProcessEvent<P>>>) -> StoreError {
    let reason = error.to_string();
    match error {
        InstanceError::OtherHistory(version) => StoreError::Corrupt { stream: source.clone(), version, reason },
        InstanceError::UnknownTimer => StoreError::Corrupt {
            stream: Instance::<P>::stream_of(source),
            version: head.map_or(Version::NONE, |head| head.version),
            reason,
        },
        InstanceError::TimerNotLater => StoreError::bug(error),
    }
}
