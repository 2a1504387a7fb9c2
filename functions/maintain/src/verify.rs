//! Checks the hash chains of all streams, and compares views and counters with the events, byte for byte. Writes
//! nothing, and is safe on a live system.

use std::collections::BTreeMap;

use app::App;
use cqrs::{Counters, Domain, StreamId};
use cqrs_dynamodb::{
    Generation, InGeneration, Projector, StoreError, StreamFilter, StreamsPage, VerifiedStreams, VerifiedViews,
};
use jiff::{SignedDuration, Timestamp};
use messaging::publisher::projector_of_all;
use serde::Serialize;

use crate::segments::{Checkpoint, walk};

/// The result of verifying streams, views and counters.
#[derive(Debug, Default, Serialize)]
pub struct VerifyReport {
    pub streams: VerifiedStreams,
    /// By the name of the projection.
    pub projections: BTreeMap<&'static str, ProjectionReport>,
    /// The served counters, by the declared name of the table. Rollups and tallies of several projections may share a
    /// table.
    pub counters: BTreeMap<String, CountersStatus>,
    /// The counters that a rebuild is building, by the declared name of the table.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub building: BTreeMap<String, CountersStatus>,
    /// The sum of contributions and counted events, by table and generation.
    #[serde(skip)]
    pub sums: BTreeMap<InGeneration, Counters>,
}

/// The result of verifying the views of one projection.
#[derive(Debug, Default, Serialize)]
pub struct ProjectionReport {
    #[serde(flatten)]
    pub views: VerifiedViews,
    /// The views that have been behind for longer than the patience, with the time of the first commit that they lack.
    pub late: BTreeMap<StreamId, Timestamp>,
}

/// The result of comparing a table of counters with the sum of contributions and counted events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountersStatus {
    /// The counters are the sum of all contributions and of all counted events.
    Correct,
    Wrong,
    /// The counters changed during the walk, or the walk did not cover all views.
    NotCompared,
}

impl VerifyReport {
    /// Returns whether a stream is corrupt, a view is defective or late, or a table of counters is wrong.
    pub fn is_wrong(&self) -> bool {
        !self.streams.corrupt.is_empty()
            || self.projections.values().any(|report| !report.views.defective.is_empty() || !report.late.is_empty())
            || self.counters.values().any(|status| *status == CountersStatus::Wrong)
    }
}

/// Verifies all streams from `checkpoint` on. A view may lack a commit for as long as `patience`. The counters are
/// compared only if the walk covers all streams. The digest of the heads covers the commits that were recorded until
/// `heads_at`. Calls `on_page` after each page with the number of streams visited so far.
///
/// # Errors
/// [`StoreError`], if a read fails.
pub async fn verify<D: Domain>(
    app: &App,
    patience: SignedDuration,
    heads_at: Timestamp,
    checkpoint: Checkpoint,
    mut on_page: impl FnMut(usize, &Checkpoint),
) -> Result<VerifyReport, StoreError> {
    let projector = &projector_of_all::<D>(app)?;
    // The time is measured from the start of the walk, so that a long walk makes no view late.
    let late_before = app.dynamo.environment.now().checked_sub(patience).unwrap_or(Timestamp::MIN);
    let from_the_start = checkpoint == Checkpoint::start(checkpoint.of);
    let serving = serving(projector).await?;
    let counters_before = projector.counters().await?;
    let mut report = VerifyReport::default();
    let mut to_the_end = false;
    let verify_page =
        |page: StreamsPage| async move { projector.verify(&[page.streams, page.lost].concat(), heads_at).await };
    walk::<D, _, _>(app, StreamFilter::All, checkpoint, verify_page, |verified, checkpoint| {
        report.streams.add(verified.streams);
        to_the_end = checkpoint.at.is_empty();
        for (name, views) in verified.views {
            report.projections.entry(name).or_default().views.add(views);
        }
        on_page(report.streams.streams, checkpoint);
    })
    .await?;
    let counters_after = projector.counters().await?;
    for projection in report.projections.values_mut() {
        projection.late = projection.views.behind.clone();
        projection.late.retain(|_, since| *since < late_before);
    }
    for (table, added) in report.projections.values().flat_map(|report| &report.views.counters) {
        *report.sums.entry(table.clone()).or_default() += added;
    }
    let complete = from_the_start && to_the_end;
    for (table, after) in counters_after {
        let expected = report.sums.entry(table.clone()).or_default();
        let status = match counters_before.get(&table) {
            Some(before) if *before == after && complete && *expected == after => CountersStatus::Correct,
            Some(before) if *before == after && complete => CountersStatus::Wrong,
            _ => CountersStatus::NotCompared,
        };
        let is_served = serving.get(table.name.as_str()) == Some(&table.generation);
        let statuses = if is_served { &mut report.counters } else { &mut report.building };
        statuses.insert(table.name, status);
    }
    Ok(report)
}

/// Returns the served generation of each table of counters.
async fn serving(projector: &Projector) -> Result<BTreeMap<&'static str, Generation>, StoreError> {
    let mut serving = BTreeMap::new();
    for (name, table) in projector.counters_tables() {
        serving.insert(*name, table.generations().await?.serving);
    }
    Ok(serving)
}
