//! The runs of instances, and the schedules of their next signals.

use app::App;
use cqrs::{Process, StreamId};
use cqrs_dynamodb::{EventStore, ProcessError, ProcessReport, catch_up_process};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use lambda_runtime::Error;
use messaging::{ScheduleError, Schedules};

use crate::{configure, signals::signal};

/// The number of instances that run concurrently.
const CONCURRENCY: usize = 8;

/// Runs instances of one process.
pub(crate) struct Instances<P> {
    process: P,
    events: EventStore,
    schedules: Schedules,
    /// The source of the events of the bus.
    pub(crate) event_source: String,
}

/// The run of one instance.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) source: StreamId,
    pub(crate) result: Result<ProcessReport, ProcessError>,
    /// The schedule for the next timer could not be created.
    pub(crate) schedule_error: Option<ScheduleError>,
}

impl<P: Process> Instances<P> {
    /// # Errors
    /// The first environment variable that is missing or invalid.
    pub(crate) fn new(app: &App) -> Result<Self, Error> {
        Ok(Self {
            process: configure(app)?,
            events: app.events()?,
            schedules: Schedules::new(app)?,
            event_source: app.aws.variable("EVENT_SOURCE")?,
        })
    }

    /// Runs the instances of these source streams.
    pub(crate) async fn run(&self, sources: Vec<StreamId>) -> Vec<Run> {
        stream::iter(sources).map(|source| self.run_one(source)).buffered(CONCURRENCY).collect().await
    }

    async fn run_one(&self, source: StreamId) -> Run {
        let result = catch_up_process(&self.events, &self.process, &source).await;
        let next = result.as_ref().ok().and_then(ProcessReport::next_due);
        let schedule_error = match next {
            Some(due) => self.schedule(&source, due).await.err(),
            None => None,
        };
        Run { source, result, schedule_error }
    }

    /// Schedules a signal for the earliest timer only: the run at that time schedules the next one.
    ///
    /// This is repeated with every run, because an earlier one may have ended before it. A schedule of a timer that was
    /// moved or cancelled is not deleted: its signal finds nothing due, which costs two reads.
    async fn schedule(&self, source: &StreamId, due: Timestamp) -> Result<(), ScheduleError> {
        self.schedules.send_at(&signal(source), due).await
    }
}
