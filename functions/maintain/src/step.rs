//! A step of the state machine in `template.yaml`: part of a task, as much as an invocation has time for.
//!
//! The state machine maps a job to its segments, and asks for steps of each until it is done. A step is answered with
//! itself, further on; so a step that failed or was killed is begun again where it began, which does no harm.

use std::{collections::BTreeMap, num::NonZeroU16, ops::Add};

use app::{App, Measurements};
use cqrs_dynamodb::{ScanCursor, StoreError};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::{
    rebuild::{RebuildReport, rebuild},
    segments::Checkpoint,
    sweep,
    verify::{self, CountersStatus},
};

/// For how long a view may lack a commit before it is wrong: as long as an alarm of the projector takes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// What is to be done, in how many segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceJob {
    /// What.
    #[serde(flatten)]
    pub task: MaintenanceTask,
    /// In how many.
    pub segments: NonZeroU16,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum MaintenanceTask {
    /// All streams are caught up.
    Rebuild,
    /// All views are held against their streams. Counters are compared only where one step sees all views: in one segment, in
    /// the time of an invocation. `cargo operate verify` always does.
    Verify,
    /// The streams of batches that were given up are caught up.
    Sweep {
        /// What the on-failure queue has of them.
        discarded: Vec<sweep::DiscardedBatch>,
    },
}

/// Part of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceStep {
    /// Of which.
    pub job: MaintenanceJob,
    /// Which segment, from 0.
    pub segment: u16,
    /// After which place in the segment; none for its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ScanCursor>,
    /// Whether the segment is done.
    #[serde(default)]
    pub done: bool,
    /// What was done so far.
    #[serde(default)]
    pub totals: Totals,
}

/// What was done of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Orders that were gone through.
    pub orders: usize,
    /// Views that were written.
    pub written: usize,
    /// Views that are parked.
    pub parked: usize,
    /// Views that are wrong, or late; and counters that are wrong.
    pub wrong: usize,
}

/// Why a step is to be begun again.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The events or the views could not be read.
    #[error(transparent)]
    Failed(#[from] StoreError),
    /// Some views could not be written.
    #[error("{0} orders could not be caught up")]
    Behind(usize),
}

impl MaintenanceStep {
    /// Goes on with the segment, as long as there is time.
    ///
    /// # Errors
    /// [`StepError`].
    pub async fn take(self, app: &App) -> Result<Self, StepError> {
        let mut left = self.checkpoint();
        let (start, keep) = (left.clone(), |_: &RebuildReport, checkpoint: &Checkpoint| left.clone_from(checkpoint));
        let totals = match &self.job.task {
            MaintenanceTask::Verify => verified(app, &mut left).await?,
            MaintenanceTask::Rebuild => caught_up(app, rebuild(app, start, keep)).await?,
            MaintenanceTask::Sweep { discarded } => caught_up(app, sweep::sweep(app, discarded, start, keep)).await?,
        };
        let after = left.at.remove(&self.segment);
        Ok(Self { done: after.is_none(), after: after.flatten(), totals: self.totals + totals, ..self })
    }

    /// Where the segment is to be gone on with.
    fn checkpoint(&self) -> Checkpoint {
        Checkpoint { of: self.job.segments.get(), at: BTreeMap::from([(self.segment, self.after.clone())]) }
    }
}

async fn caught_up(
    app: &App,
    rebuilt: impl Future<Output = Result<RebuildReport, StoreError>>,
) -> Result<Totals, StepError> {
    let RebuildReport { streams, written, parked, parked_now, failed, .. } = rebuilt.await?;
    app.metrics.emit(app.dynamo.environment.now(), Measurements::default().count("Parked", parked_now.len()));
    for (stream, reason) in &parked_now {
        tracing::error!(%stream, parked = true, reason, "an order cannot be views_written");
    }
    for (stream, reason) in &failed {
        tracing::error!(%stream, reason, "an order could not be caught up");
    }
    match failed.len() {
        0 => Ok(Totals { orders: streams, written, parked, wrong: 0 }),
        behind => Err(StepError::Behind(behind)),
    }
}

async fn verified(app: &App, left: &mut Checkpoint) -> Result<Totals, StepError> {
    let mut totals = Totals::default();
    let reports = verify::verify(app, PATIENCE, left.clone(), |orders, checkpoint| {
        totals.orders = orders;
        left.clone_from(checkpoint);
    });
    for (projection, report) in reports.await? {
        let wrong = report.views.defective.iter().map(|(stream, wrong)| (stream, format!("{wrong:?}")));
        let late = report.late.iter().map(|(stream, since)| (stream, format!("behind since {since}")));
        for (stream, wrong) in wrong.chain(late) {
            tracing::error!(projection, %stream, wrong, "a view is not what its stream says");
            totals.wrong += 1;
        }
        if report.counters == CountersStatus::Wrong {
            tracing::error!(projection, "the counters are not what the views have counted");
            totals.wrong += 1;
        }
        totals.parked += report.views.parked;
    }
    app.metrics.emit(app.dynamo.environment.now(), Measurements::default().count("Drift", totals.wrong));
    Ok(totals)
}

impl Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            orders: self.orders + other.orders,
            written: self.written + other.written,
            parked: self.parked + other.parked,
            wrong: self.wrong + other.wrong,
        }
    }
}
