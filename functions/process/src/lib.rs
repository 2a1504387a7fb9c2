//! The process function: runs a process of any domain for the source streams that signals name, and sweeps for overdue
//! timers. Read it in this order:
//!
//! 1. [`run`]: the function on Lambda. [`handle`]: one invocation.
//! 2. [`signals`]: reads the messages.
//! 3. [`instances`]: runs the instances, and schedules the signals for their timers.
//! 4. [`telemetry`]: metrics and logs of an invocation.

mod instances;
mod signals;
mod telemetry;

use std::marker::PhantomData;

use app::{App, BatchResponse, start::UsedTables};
use cqrs::{
    DeclarationError, Domain, Process, ReadModel, ReadModels,
    process::{InvalidSetting, PendingTimers},
};
use jiff::SignedDuration;
use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use serde_json::Value;

use crate::{instances::Instances, signals::Signals, telemetry::Telemetry};

/// The time after which a sweep runs the instance of a timer that is due. A schedule is for the next full minute, and sends its
/// signal within that minute.
const GRACE: SignedDuration = SignedDuration::from_mins(3);
/// The number of instances that one sweep runs at most. The next sweep runs the rest.
const SWEPT: u16 = 500;

/// Runs the process `P` on Lambda: the only line of its `main`.
///
/// Beside the variables of [`Settings`](app::Settings) and those of the process, it needs `EVENT_SOURCE`, the source of
/// the events of the bus, and those of [`Schedules::new`](messaging::Schedules::new).
///
/// # Errors
/// The first environment variable that is missing or malformed, or an error of the runtime.
pub fn run<P: Process>() -> Result<(), Error> {
    let check = |app: &App| Instances::<P>::new(app).map(drop);
    app::start::run::<TimersOf<P>, _, _, _>(UsedTables::ReadModels, check, |app, event| async move {
        handle::<P>(&app, event).await
    })
}

/// Returns the declared names of the tables that the function uses.
///
/// # Errors
/// [`DeclarationError`] if the name of the read model is that of the event store.
pub fn tables<P: Process>() -> Result<Vec<&'static str>, DeclarationError> {
    app::start::tables::<TimersOf<P>>(UsedTables::ReadModels)
}

/// The read model that the function uses.
struct TimersOf<P>(PhantomData<P>);

impl<P: Process> Domain for TimersOf<P> {
    fn read_models<M: ReadModels>(models: M) -> M {
        models.add(ReadModel::<PendingTimers<P>>::new())
    }
}

/// Configures the process `P` from the environment variables of the function.
///
/// # Errors
/// The first setting that is missing or invalid.
pub(crate) fn configure<P: Process>(app: &App) -> Result<P, InvalidSetting> {
    P::configure(|name| app.aws.variable(name).ok())
}

/// The event of a sweep, from a schedule: `{"sweep": {}}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SweepEvent {
    #[serde(rename = "sweep")]
    _sweep: Sweep,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sweep {}

/// Runs the instance of each stream that a message names, or for the event of a sweep the instances with an overdue
/// timer. Safe to repeat.
///
/// The response names the messages whose instance failed, and the malformed ones. SQS delivers them again, and moves
/// them to the dead-letter queue in the end. A schedule that could not be created fails no message, because a sweep
/// finds the timer when it is overdue. An instance that fails in a sweep is run again by the next one.
///
/// # Errors
/// If the event is neither of the two, a setting is missing or invalid, or the overdue timers could not be read.
pub async fn handle<P: Process>(app: &App, event: LambdaEvent<Value>) -> Result<BatchResponse, Error> {
    let app = app.with_deadline(event.context.deadline);
    let instances = Instances::<P>::new(&app)?;
    let mut telemetry = Telemetry::default();
    let mut response = BatchResponse::default();
    if serde_json::from_value::<SweepEvent>(event.payload.clone()).is_ok() {
        let until = app.dynamo.environment.now() - GRACE;
        let overdue = app.views::<PendingTimers<P>>()?.due(until, SWEPT).await?;
        telemetry.overdue = overdue.len();
        telemetry.runs = instances.run(overdue.into_iter().map(|instance| instance.source).collect()).await;
    } else {
        let signals = Signals::read::<P::Source>(&event.payload, &instances.event_source)?;
        telemetry.malformed = signals.malformed;
        telemetry.runs = instances.run(signals.streams.keys().cloned().collect()).await;
        let failed = telemetry.runs.iter().filter(|run| run.result.is_err());
        let failed = failed.filter_map(|run| signals.streams.get(&run.source)).flatten();
        let failed = failed.chain(telemetry.malformed.iter().map(|(id, _)| id));
        response = BatchResponse::failed(failed.cloned());
    }
    telemetry.emit(&app);
    Ok(response)
}
