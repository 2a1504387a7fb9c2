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
    rebuild::{Rebuilt, rebuild},
    segments::Progress,
    sweep,
    verify::{self, CountersStatus},
};

/// For how long a view may lack a commit before it is wrong: as long as an alarm of the projector takes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// What is to be done, in how many segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What.
    #[serde(flatten)]
    pub task: Task,
    /// In how many.
    pub segments: NonZeroU16,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum Task {
    /// All streams are caught up.
    Rebuild,
    /// All views are held against their streams. Counters are compared only where one step sees all views: in one segment, in
    /// the time of an invocation. `cargo operate verify` always does.
    Verify,
    /// The streams of batches that were given up are caught up.
    Sweep {
        /// What the on-failure queue has of them.
        given_up: Vec<sweep::GivenUp>,
    },
}

/// Part of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Of which.
    pub job: Job,
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
    pub so_far: Tally,
}

/// What was done of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
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
pub enum Unfinished {
    /// The events or the views could not be read.
    #[error(transparent)]
    Failed(#[from] StoreError),
    /// Some views could not be written.
    #[error("{0} orders could not be caught up")]
    Behind(usize),
}

impl Step {
    /// Goes on with the segment, as long as there is time.
    ///
    /// # Errors
    /// [`Unfinished`].
    pub async fn take(self, app: &App) -> Result<Self, Unfinished> {
        let mut left = self.progress();
        let (start, keep) = (left.clone(), |_: &Rebuilt, progress: &Progress| left.clone_from(progress));
        let tally = match &self.job.task {
            Task::Verify => verified(app, &mut left).await?,
            Task::Rebuild => caught_up(app, rebuild(app, start, keep)).await?,
            Task::Sweep { given_up } => caught_up(app, sweep::sweep(app, given_up, start, keep)).await?,
        };
        let after = left.at.remove(&self.segment);
        Ok(Self { done: after.is_none(), after: after.flatten(), so_far: self.so_far + tally, ..self })
    }

    /// Where the segment is to be gone on with.
    fn progress(&self) -> Progress {
        Progress { of: self.job.segments.get(), at: BTreeMap::from([(self.segment, self.after.clone())]) }
    }
}

async fn caught_up(app: &App, rebuilt: impl Future<Output = Result<Rebuilt, StoreError>>) -> Result<Tally, Unfinished> {
    let Rebuilt { streams, written, parked, parked_now, failed, .. } = rebuilt.await?;
    app.metrics.emit(app.dynamo.environment.now(), Measurements::default().count("Parked", parked_now.len()));
    for (stream, reason) in &parked_now {
        tracing::error!(%stream, parked = true, reason, "an order cannot be views_written");
    }
    for (stream, reason) in &failed {
        tracing::error!(%stream, reason, "an order could not be caught up");
    }
    match failed.len() {
        0 => Ok(Tally { orders: streams, written, parked, wrong: 0 }),
        behind => Err(Unfinished::Behind(behind)),
    }
}

async fn verified(app: &App, left: &mut Progress) -> Result<Tally, Unfinished> {
    let mut tally = Tally::default();
    let verdicts = verify::verify(app, PATIENCE, left.clone(), |orders, progress| {
        tally.orders = orders;
        left.clone_from(progress);
    });
    for (projection, verdict) in verdicts.await? {
        let wrong = verdict.views.defective.iter().map(|(stream, wrong)| (stream, format!("{wrong:?}")));
        let late = verdict.late.iter().map(|(stream, since)| (stream, format!("behind since {since}")));
        for (stream, wrong) in wrong.chain(late) {
            tracing::error!(projection, %stream, wrong, "a view is not what its stream says");
            tally.wrong += 1;
        }
        if verdict.counters == CountersStatus::Wrong {
            tracing::error!(projection, "the counters are not what the views have counted");
            tally.wrong += 1;
        }
        tally.parked += verdict.views.parked;
    }
    app.metrics.emit(app.dynamo.environment.now(), Measurements::default().count("Drift", tally.wrong));
    Ok(tally)
}

impl Add for Tally {
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
