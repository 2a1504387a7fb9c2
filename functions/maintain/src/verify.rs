//! Holds views and counters against the events, byte for byte. Nothing is written, and it may be done while live.

use std::collections::BTreeMap;

use app::App;
use cqrs::{Counters, StreamId};
use cqrs_dynamodb::{StoreError, StreamFilter, VerifiedViews};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    projector,
    segments::{Checkpoint, walk},
};

/// What a look at a projection found.
#[derive(Debug, Default, Serialize)]
pub struct VerifyReport {
    /// Its views.
    #[serde(flatten)]
    pub views: VerifiedViews,
    /// Those of the views that are behind which have been so for too long, and since when.
    pub late: BTreeMap<StreamId, Timestamp>,
    /// Its counters.
    pub counters: CountersStatus,
}

/// What a look at counters found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountersStatus {
    /// They are the counters of what the views have contribution.
    Correct,
    /// They are not.
    Wrong,
    /// They changed while the views were read, or not all views were: nothing can be said.
    #[default]
    NotCompared,
    /// There are none.
    None,
}

impl VerifyReport {
    /// Whether something is wrong: a view, a view that is late, or a sum.
    pub fn is_wrong(&self) -> bool {
        !self.views.defective.is_empty() || !self.late.is_empty() || self.counters == CountersStatus::Wrong
    }
}

/// Verifies from `checkpoint` on, by projection; the counters too if that comes to all there is. A view may lack a commit for as
/// long as `patience` says. Tells `each` how many streams were looked at so far.
///
/// # Errors
/// [`StoreError`] of a read.
pub async fn verify(
    app: &App,
    patience: SignedDuration,
    checkpoint: Checkpoint,
    mut each: impl FnMut(usize, &Checkpoint),
) -> Result<BTreeMap<&'static str, VerifyReport>, StoreError> {
    let projector = &projector(app);
    // As of the beginning: how long it takes to look at all views says nothing about any of them.
    let deadline = app.dynamo.environment.now().checked_sub(patience).unwrap_or(Timestamp::MIN);
    let from_the_start = checkpoint == Checkpoint::start(checkpoint.of);
    let before = projector.counters().await?;
    let mut reports: BTreeMap<&'static str, VerifyReport> = BTreeMap::new();
    let (mut looked_at, mut to_the_end) = (0, false);
    let look = |streams: Vec<StreamId>| async move { Ok((streams.len(), projector.verify(&streams).await?)) };
    walk(app, StreamFilter::All, checkpoint, look, |(streams, verified), checkpoint| {
        looked_at += streams;
        to_the_end = checkpoint.at.is_empty();
        verified.into_iter().for_each(|(name, views)| reports.entry(name).or_default().views.add(views));
        each(looked_at, checkpoint);
    })
    .await?;
    let after = projector.counters().await?;
    let all = from_the_start && to_the_end;
    for (name, report) in &mut reports {
        report.late = report.views.behind.clone();
        report.late.retain(|_, since| *since < deadline);
        report.counters = counters(before.get(name), after.get(name), &report.views.contribution, all);
    }
    Ok(reports)
}

fn counters(before: Option<&Counters>, after: Option<&Counters>, contribution: &Counters, all: bool) -> CountersStatus {
    match (before, after) {
        (None, _) | (_, None) => CountersStatus::None,
        (Some(before), Some(after)) if before != after || !all => CountersStatus::NotCompared,
        (_, Some(counters)) if counters == contribution => CountersStatus::Correct,
        (Some(_), Some(_)) => CountersStatus::Wrong,
    }
}
