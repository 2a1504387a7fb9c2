//! Compares views and counters with the events, byte for byte. Writes nothing, and is safe on a live system.

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

/// The result of verifying one projection.
#[derive(Debug, Default, Serialize)]
pub struct VerifyReport {
    #[serde(flatten)]
    pub views: VerifiedViews,
    /// The views that have been behind for longer than the patience, with the time of the first commit that they lack.
    pub late: BTreeMap<StreamId, Timestamp>,
    pub counters: CountersStatus,
}

/// The result of comparing the counters with the contributions of all views.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountersStatus {
    /// The counters are the sum of the contributions.
    Correct,
    Wrong,
    /// The counters changed during the walk, or the walk did not cover all views.
    #[default]
    NotCompared,
    /// The projection has no counters.
    None,
}

impl VerifyReport {
    /// Returns whether a view is defective, a view is late, or the counters are wrong.
    pub fn is_wrong(&self) -> bool {
        !self.views.defective.is_empty() || !self.late.is_empty() || self.counters == CountersStatus::Wrong
    }
}

/// Verifies all streams from `checkpoint` on and reports on each projection. A view may lack a commit for as long as
/// `patience`. The counters are compared only if the walk covers all streams. Calls `on_page` after each page with the
/// number of streams visited so far.
///
/// # Errors
/// [`StoreError`], if a read fails.
pub async fn verify(
    app: &App,
    patience: SignedDuration,
    checkpoint: Checkpoint,
    mut on_page: impl FnMut(usize, &Checkpoint),
) -> Result<BTreeMap<&'static str, VerifyReport>, StoreError> {
    let projector = &projector(app);
    // The time is measured from the start of the walk, so that a long walk makes no view late.
    let late_before = app.dynamo.environment.now().checked_sub(patience).unwrap_or(Timestamp::MIN);
    let from_the_start = checkpoint == Checkpoint::start(checkpoint.of);
    let counters_before = projector.counters().await?;
    let mut reports: BTreeMap<&'static str, VerifyReport> = BTreeMap::new();
    let (mut visited, mut to_the_end) = (0, false);
    let verify_page = |streams: Vec<StreamId>| async move { Ok((streams.len(), projector.verify(&streams).await?)) };
    walk(app, StreamFilter::All, checkpoint, verify_page, |(streams, verified), checkpoint| {
        visited += streams;
        to_the_end = checkpoint.at.is_empty();
        verified.into_iter().for_each(|(name, views)| reports.entry(name).or_default().views.add(views));
        on_page(visited, checkpoint);
    })
    .await?;
    let counters_after = projector.counters().await?;
    let complete = from_the_start && to_the_end;
    for (name, report) in &mut reports {
        report.late = report.views.behind.clone();
        report.late.retain(|_, since| *since < late_before);
        let (before, after) = (counters_before.get(name), counters_after.get(name));
        report.counters = compare_counters(before, after, &report.views.contribution, complete);
    }
    Ok(reports)
}

fn compare_counters(
    before: Option<&Counters>,
    after: Option<&Counters>,
    contribution: &Counters,
    complete: bool,
) -> CountersStatus {
    match (before, after) {
        (None, _) | (_, None) => CountersStatus::None,
        (Some(before), Some(after)) if before != after || !complete => CountersStatus::NotCompared,
        (_, Some(counters)) if counters == contribution => CountersStatus::Correct,
        (Some(_), Some(_)) => CountersStatus::Wrong,
    }
}
