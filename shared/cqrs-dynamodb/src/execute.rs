//! Command execution: load, decide, append, and retry after a version conflict.

use cqrs::{Aggregate, CommandId, Commit, Fingerprint, StreamId, Version, recorded_at};

use crate::{EventStore, StoreError, event_store::AppendOutcome};

/// The number of attempts to append before a command fails as [`CommandError::Contended`].
const ATTEMPTS: u32 = 5;

/// A command with the facts that its commit records.
#[derive(Clone, Debug)]
pub struct CommandRequest<C> {
    pub stream: StreamId,
    /// Identifies the command. A retry sends the same id.
    pub command_id: CommandId,
    /// Identifies the content of the command. Another command with the same id has another fingerprint.
    pub fingerprint: Fingerprint,
    /// The version that the caller last saw, or `None` to accept any version.
    pub expected_version: Option<Version>,
    pub caller: String,
    /// The W3C `traceparent` of the request.
    pub trace: Option<String>,
    pub command: C,
}

/// The result of an accepted command. Its commit is stored permanently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The version of the command's commit.
    pub version: Version,
    /// An earlier attempt of the same command wrote the commit.
    pub replayed: bool,
}

/// The error of a command that was not accepted. Nothing was written, except possibly after
/// [`StoreError::OutcomeUnknown`] or [`StoreError::Unavailable`].
#[derive(Debug)]
pub enum CommandError<A: Aggregate> {
    /// The stream does not exist, or the caller may not command it.
    NotFound,
    /// A business rule rejected the command.
    Rejected {
        rejection: A::Rejection,
        /// The state that the decision was made on.
        state: A,
        /// The version of `state`.
        version: Version,
    },
    /// The stream is not at the expected version.
    VersionMismatch {
        /// The current version.
        version: Version,
    },
    /// The command id belongs to a command with other content.
    IdempotencyKeyReused,
    /// Every attempt ended in a version conflict. A retry may succeed.
    Contended,
    Store(StoreError),
}

impl<A: Aggregate> From<StoreError> for CommandError<A> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Executes a command on an existing stream. Costs one query and one write unit per KB.
///
/// `is_authorized` decides from the state whether the caller may command this aggregate. If not, the result is
/// [`CommandError::NotFound`]. A retry of an accepted command returns the first result, even if the expected version
/// does not match.
///
/// # Errors
/// [`CommandError`].
pub async fn execute<A: Aggregate>(
    events: &EventStore,
    request: &CommandRequest<A::Command>,
    is_authorized: impl Fn(&A) -> bool,
) -> Result<Executed, CommandError<A>> {
    load_and_decide(events, request, is_authorized, |_| Err(CommandError::NotFound)).await
}

/// Executes a command that creates its stream. Costs one write unit per KB and no read. If the stream exists, the
/// command continues like [`execute`].
///
/// # Errors
/// [`CommandError`].
pub async fn create<A: Aggregate>(
    events: &EventStore,
    request: &CommandRequest<A::Command>,
    is_authorized: impl Fn(&A) -> bool,
) -> Result<Executed, CommandError<A>> {
    match decide_and_append(events, request, A::default(), None).await? {
        Some(executed) => Ok(executed),
        None => execute(events, request, is_authorized).await,
    }
}

/// Executes a command that creates its stream or continues it, such as a deposit into an account that the first deposit
/// opens. Costs like [`execute`]: one query and one write unit per KB.
///
/// Without a stream, the command is decided on the default state, and `is_authorized` is not called. Prefer [`create`]
/// for a command that usually creates its stream: it saves the query.
///
/// # Errors
/// [`CommandError`], but never [`CommandError::NotFound`] for a stream that does not exist. An expected version without
/// a stream is [`CommandError::VersionMismatch`] at [`Version::NONE`].
pub async fn create_or_execute<A: Aggregate>(
    events: &EventStore,
    request: &CommandRequest<A::Command>,
    is_authorized: impl Fn(&A) -> bool,
) -> Result<Executed, CommandError<A>> {
    load_and_decide(events, request, is_authorized, |expected| match expected {
        None => Ok(()),
        Some(_) => Err(CommandError::VersionMismatch { version: Version::NONE }),
    })
    .await
}

/// Loads the stream, decides and appends, and repeats this after a version conflict. `without_stream` returns whether the
/// command may create the stream, from the expected version.
async fn load_and_decide<A: Aggregate>(
    events: &EventStore,
    request: &CommandRequest<A::Command>,
    is_authorized: impl Fn(&A) -> bool,
    without_stream: impl Fn(Option<Version>) -> Result<(), CommandError<A>>,
) -> Result<Executed, CommandError<A>> {
    for attempt in 1..=ATTEMPTS {
        let history = events.load::<A::Event>(&request.stream).await?;
        let state = A::replay(history.iter().flat_map(|commit| &commit.events));
        let head = history.last();
        match head {
            None => without_stream(request.expected_version)?,
            Some(_) if !is_authorized(&state) => return Err(CommandError::NotFound),
            Some(head) => {
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
            }
        }
        if let Some(executed) = decide_and_append(events, request, state, head).await? {
            return Ok(executed);
        }
        events.dynamo().back_off(attempt).await;
    }
    Err(CommandError::Contended)
}

/// Decides on `state`, the state after commit `head`, and appends the events. Returns `None` after a version conflict.
async fn decide_and_append<A: Aggregate>(
    events: &EventStore,
    request: &CommandRequest<A::Command>,
    state: A,
    head: Option<&Commit<A::Event>>,
) -> Result<Option<Executed>, CommandError<A>> {
    let version = head.map_or(Version::NONE, |head| head.version);
    let at = recorded_at(events.dynamo().environment.now(), head.map(|head| head.recorded_at));
    let decided = match state.decide(request.command.clone(), at) {
        Ok(decided) if decided.is_empty() => return Ok(Some(Executed { version, replayed: false })),
        Ok(decided) => decided,
        Err(rejection) => return Err(CommandError::Rejected { rejection, state, version }),
    };
    let commit = Commit {
        stream: request.stream.clone(),
        version: version.next(),
        command_id: request.command_id.clone(),
        fingerprint: request.fingerprint.clone(),
        recorded_at: at,
        caller: request.caller.clone(),
        trace: request.trace.clone(),
        previous: head.and_then(|head| head.hash),
        hash: None,
        events: decided,
    };
    match events.append(&commit).await? {
        AppendOutcome::Written => Ok(Some(Executed { version: commit.version, replayed: false })),
        AppendOutcome::AlreadyWritten => Ok(Some(Executed { version: commit.version, replayed: true })),
        AppendOutcome::IdempotencyKeyReused => Err(CommandError::IdempotencyKeyReused),
        AppendOutcome::VersionConflict => Ok(None),
    }
}
