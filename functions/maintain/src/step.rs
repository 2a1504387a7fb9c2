//! A step of the state machine `Maintenance` in `template.yaml`: the part of a job that fits into one invocation.
//!
//! The state machine maps a job to its segments and invokes steps of each segment until it is done. The function
//! returns the updated step, and the state machine passes it back in. A failed step is retried from its input, which is
//! safe because all writes are idempotent.

use std::{collections::BTreeMap, num::NonZeroU16, ops::Add};

use app::{App, Measurements};
use cqrs::Domain;
use cqrs_dynamodb::{RepublishFrom, ScanCursor, StoreError};
use jiff::SignedDuration;
use messaging::publisher;
use serde::{Deserialize, Serialize};

use crate::{
    rebuild::{RebuildReport, rebuild},
    republish::{Republished, republish_all},
    segments::Checkpoint,
    sweep,
    verify::{self, CountersStatus, VerifyReport},
};

/// The time for which a view may lack a commit before it counts as wrong. Equal to the threshold of the alarm on a late
/// projector.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// The input of the state machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceJob {
    #[serde(flatten)]
    pub task: MaintenanceTask,
    pub segments: NonZeroU16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum MaintenanceTask {
    /// Catches up all streams.
    Rebuild,
    /// Compares all views with their streams. Compares the counters only if one step covers all views: the job must
    /// have one segment that fits into one invocation.
    Verify,
    /// Catches up the streams of discarded batches.
    Sweep { discarded: Vec<sweep::DiscardedBatch> },
    /// Publishes the events of all streams again, to the bus of this system.
    Republish {
        #[serde(default)]
        from: RepublishFrom,
    },
}

/// The progress in one segment of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceStep {
    pub job: MaintenanceJob,
    /// From 0.
    pub segment: u16,
    /// The cursor in the segment; `None` at its start and at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ScanCursor>,
    #[serde(default)]
    pub done: bool,
    #[serde(default)]
    pub totals: Totals,
}

/// The work done in one segment so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Streams visited.
    pub streams: usize,
    /// Views written.
    pub written: usize,
    /// Views of parked streams.
    pub parked: usize,
    /// Streams that are corrupt, views that are defective or late, and tables of counters that are wrong.
    pub wrong: usize,
}

/// An error after which the step must be retried.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A read of events, views or counters failed.
    #[error(transparent)]
    Failed(#[from] StoreError),
    #[error("{0} streams could not be caught up")]
    Behind(usize),
}

impl MaintenanceStep {
    /// Continues the segment until it is done or the invocation's time runs out, and returns the updated step.
    ///
    /// # Errors
    /// [`StepError`], if a read fails or a stream was not caught up.
    pub async fn run<D: Domain>(self, app: &App) -> Result<Self, StepError> {
        let start = self.checkpoint();
        let mut reached = start.clone();
        let on_page = |_: &RebuildReport, checkpoint: &Checkpoint| reached.clone_from(checkpoint);
        let totals = match &self.job.task {
            MaintenanceTask::Verify => verify_views::<D>(app, &mut reached).await?,
            MaintenanceTask::Rebuild => catch_up(app, rebuild::<D>(app, start, on_page)).await?,
            MaintenanceTask::Sweep { discarded } => {
                catch_up(app, sweep::sweep::<D>(app, discarded, start, on_page)).await?
            }
            MaintenanceTask::Republish { from } => republish::<D>(app, *from, &mut reached).await?,
        };
        let after = reached.at.remove(&self.segment);
        Ok(Self { done: after.is_none(), after: after.flatten(), totals: self.totals + totals, ..self })
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint { of: self.job.segments.get(), at: BTreeMap::from([(self.segment, self.after.clone())]) }
    }
}

/// Awaits a rebuild or a sweep, and emits its metrics and logs.
async fn catch_up(
    app: &App,
    report: impl Future<Output = Result<RebuildReport, StoreError>>,
) -> Result<Totals, StepError> {
    let RebuildReport { streams, written, parked, parked_now, failed, .. } = report.await?;
    app.metrics.emit(app.dynamo.environment.now(), Measurements::default().count("Parked", parked_now.len()));
    for (stream, reason) in &parked_now {
        tracing::error!(%stream, parked = true, reason, "the stream is parked");
    }
    for (stream, reason) in &failed {
        tracing::error!(%stream, reason, "the stream was not caught up");
    }
    match failed.len() {
        0 => Ok(Totals { streams, written, parked, wrong: 0 }),
        number => Err(StepError::Behind(number)),
    }
}

/// Publishes events again from `checkpoint` on, and advances it.
async fn republish<D: Domain>(
    app: &App,
    from: RepublishFrom,
    checkpoint: &mut Checkpoint,
) -> Result<Totals, StepError> {
    let (publisher, start) = (publisher::<D>(app)?, checkpoint.clone());
    let on_page = |_: &Republished, reached: &Checkpoint| checkpoint.clone_from(reached);
    let Republished { streams, failed, .. } = republish_all::<D>(app, &publisher, from, start, on_page).await?;
    for (stream, reason) in &failed {
        tracing::error!(%stream, reason, "the events were not published again");
    }
    match failed.len() {
        0 => Ok(Totals { streams, ..Totals::default() }),
        number => Err(StepError::Behind(number)),
    }
}

/// Verifies from `checkpoint` on, advances it, and emits metrics and logs.
async fn verify_views<D: Domain>(app: &App, checkpoint: &mut Checkpoint) -> Result<Totals, StepError> {
    let mut totals = Totals::default();
    let now = app.dynamo.environment.now();
    let report = verify::verify::<D>(app, PATIENCE, now, checkpoint.clone(), |streams, reached| {
        totals.streams = streams;
        checkpoint.clone_from(reached);
    });
    let VerifyReport { streams, projections, counters, .. } = report.await?;
    for (stream, defect) in &streams.corrupt {
        tracing::error!(%stream, defect, "a stored commit was changed, replaced or removed");
        totals.wrong += 1;
    }
    for (projection, report) in projections {
        let defective = report.views.defective.iter().map(|(stream, defect)| (stream, format!("{defect:?}")));
        let late = report.late.iter().map(|(stream, since)| (stream, format!("behind since {since}")));
        for (stream, defect) in defective.chain(late) {
            tracing::error!(projection, %stream, defect, "the view or a row differs from the fold of its stream");
            totals.wrong += 1;
        }
        totals.parked += report.views.parked;
    }
    for (table, _) in counters.into_iter().filter(|(_, status)| *status == CountersStatus::Wrong) {
        tracing::error!(table, "the counters differ from the sum of contributions and counted events");
        totals.wrong += 1;
    }
    app.metrics.emit(app.dynamo.environment.now(), Measurements::default().count("Drift", totals.wrong));
    Ok(totals)
}

impl Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            streams: self.streams + other.streams,
            written: self.written + other.written,
            parked: self.parked + other.parked,
            wrong: self.wrong + other.wrong,
        }
    }
}
