//! Carries out one command: load, decide, append, and what to do when another command came in between.

use cqrs::{Aggregate, CommandId, Commit, Fingerprint, StreamId, Version, recorded_at};

use crate::{EventStore, StoreError, event_store::AppendOutcome};

/// How often a command is decided anew because others keep coming in between.
const TRIES: u32 = 5;

/// A command, and all that is recorded of how it was asked.
#[derive(Clone, Debug)]
pub struct CommandRequest<C> {
    /// The stream that it is about.
    pub stream: StreamId,
    /// The id by which a repeat is recognised.
    pub command_id: CommandId,
    /// What it asks for, so that another command with the same id is told from a repeat.
    pub fingerprint: Fingerprint,
    /// The version that the caller saw; `None` where any will do.
    pub expected_version: Option<Version>,
    /// Who asks.
    pub caller: String,
    /// The W3C `traceparent` of the request, if it had one.
    pub trace: Option<String>,
    /// What is asked.
    pub command: C,
}

/// An accepted command. Its events are in the table, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The version of the stream with the command's commit.
    pub version: Version,
    /// Whether the commit had been there before this request.
    pub replayed: bool,
}

/// A command that was not accepted; nothing of it was written, but after [`StoreError::OutcomeUnknown`].
#[derive(Debug)]
pub enum CommandError<A: Aggregate> {
    /// There is no such stream, or none that the caller may command.
    NotFound,
    /// The business says no.
    Rejected {
        /// Why.
        rejection: A::Rejection,
        /// The state that the decision was made on.
        state: A,
        /// Its version.
        version: Version,
    },
    /// The stream has moved on from the expected version.
    VersionMismatch {
        /// To this one.
        version: Version,
    },
    /// The command id belongs to a command that asked for something else.
    IdempotencyKeyReused,
    /// Other commands came in between, each time. Trying again helps.
    Contended,
    /// The tables failed.
    Store(StoreError),
}

impl<A: Aggregate> From<StoreError> for CommandError<A> {
    fn from(failure: StoreError) -> Self {
        Self::Store(failure)
    }
}

/// Carries out a command on a stream that exists: one query and one write unit per KB.
///
/// `may` says whether the caller may command this aggregate; if not, it is as if there were none. A repeat of an
/// accepted command gives the first result again, before the expected version is looked at.
///
/// # Errors
/// [`CommandError`].
pub async fn execute<A: Aggregate>(
    events: &EventStore,
    request: &CommandRequest<A::Command>,
    may: impl Fn(&A) -> bool,
) -> Result<Executed, CommandError<A>> {
    for attempt in 0..TRIES {
        let history = events.load::<A::Event>(&request.stream).await?;
        let state = A::replay(history.iter().flat_map(|commit| &commit.events));
        let Some(head) = history.last().filter(|_| may(&state)) else {
            return Err(CommandError::NotFound);
        };
        if let Some(first) = history.iter().find(|commit| commit.command_id == request.command_id) {
            return if first.fingerprint == request.fingerprint {
                Ok(Executed { version: first.version, replayed: true })
            } else {
                Err(CommandError::IdempotencyKeyReused)
            };
        }
        if request.expected_version.is_some_and(|expected| expected != head.version) {
            return Err(CommandError::VersionMismatch { version: head.version });
        }
        if let Some(executed) = decide_and_append(events, request, state, Some(head)).await? {
            return Ok(executed);
        }
        events.dynamo().back_off(attempt).await;
    }
    Err(CommandError::Contended)
}

/// Carries out a command that creates its stream: one write unit per KB, and no read.
///
/// Where the stream exists already, it is as [`execute`].
///
/// # Errors
/// [`CommandError`].
pub async fn create<A: Aggregate>(
    events: &EventStore,
    request: &CommandRequest<A::Command>,
    may: impl Fn(&A) -> bool,
) -> Result<Executed, CommandError<A>> {
    match decide_and_append(events, request, A::default(), None).await? {
        Some(executed) => Ok(executed),
        None => execute(events, request, may).await,
    }
}

/// Decides on `state`, which stands after `head`, and appends. `None`: another command has come in between.
async fn decide_and_append<A: Aggregate>(
    events: &EventStore,
    request: &CommandRequest<A::Command>,
    state: A,
    head: Option<&Commit<A::Event>>,
) -> Result<Option<Executed>, CommandError<A>> {
    let version = head.map_or(Version::NONE, |head| head.version);
    let decided = match state.decide(request.command.clone()) {
        Ok(decided) if decided.is_empty() => return Ok(Some(Executed { version, replayed: false })),
        Ok(decided) => decided,
        Err(rejection) => return Err(CommandError::Rejected { rejection, state, version }),
    };
    let commit = Commit {
        stream: request.stream.clone(),
        version: version.next(),
        command_id: request.command_id.clone(),
        fingerprint: request.fingerprint.clone(),
        recorded_at: recorded_at(events.dynamo().environment.now(), head.map(|head| head.recorded_at)),
        caller: request.caller.clone(),
        trace: request.trace.clone(),
        events: decided,
    };
    match events.append(&commit).await? {
        AppendOutcome::Written => Ok(Some(Executed { version: commit.version, replayed: false })),
        AppendOutcome::AlreadyWritten => Ok(Some(Executed { version: commit.version, replayed: true })),
        AppendOutcome::IdempotencyKeyReused => Err(CommandError::IdempotencyKeyReused),
        AppendOutcome::VersionConflict => Ok(None),
    }
}
