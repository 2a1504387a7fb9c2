//! Rebuilds views and counters in place by catching up all streams.
//!
//! A view is folded anew if it has an older schema version, or if its commit is not in the stream any more. A view
//! whose stream has no commits is removed. Any other view only gets the commits that it lacks.

use std::{collections::BTreeMap, sync::Arc};

use app::App;
use cqrs::{Domain, StreamId};
use cqrs_dynamodb::{CatchUpReport, CatchUpRequest, StoreError, StreamFilter, StreamsPage};
use messaging::publisher::projector_of_all;
use serde::Serialize;

use crate::{
    segments::{Checkpoint, walk},
    with_causes,
};

/// The result of a rebuild, a redrive or a sweep.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RebuildReport {
    /// Streams visited.
    pub streams: usize,
    /// Views written.
    pub written: usize,
    /// Views removed, because their stream has no commits.
    pub removed: usize,
    /// Views that had all commits and the current schema version already.
    pub unchanged: usize,
    /// Views of parked streams: parked before or in this run.
    pub parked: usize,
    /// Streams that no projection handles.
    pub unhandled: usize,
    /// Streams that were parked in this run, or retried without success, with the reason.
    pub parked_now: BTreeMap<StreamId, String>,
    /// Streams that were not caught up, with the reason. They must be visited again.
    pub failed: BTreeMap<StreamId, String>,
}

impl RebuildReport {
    /// Adds the report on `streams` more streams.
    pub fn add(&mut self, streams: usize, report: &CatchUpReport) {
        self.streams += streams;
        self.written += report.views_written;
        self.removed += report.views_removed;
        self.unchanged += report.duplicates;
        self.parked += report.skipped + report.parked.len();
        self.unhandled += report.unhandled;
        let with_reason = |(stream, error): (&StreamId, &Arc<StoreError>)| (stream.clone(), with_causes(error));
        self.parked_now.extend(report.parked.iter().map(with_reason));
        self.failed.extend(report.failed.iter().map(with_reason));
    }
}

/// Rebuilds all views from `checkpoint` on. Calls `on_page` after each page with the report and the checkpoint so far.
///
/// # Errors
/// [`StoreError`], if a read of the events table fails. Views that cannot be written are in the report.
pub async fn rebuild<D: Domain>(
    app: &App,
    checkpoint: Checkpoint,
    on_page: impl FnMut(&RebuildReport, &Checkpoint),
) -> Result<RebuildReport, StoreError> {
    catch_up::<D>(app, StreamFilter::All, CatchUpRequest::new, checkpoint, on_page).await
}

/// Catches up the streams that match `filter`, from `checkpoint` on, with a request that `request` builds for each.
pub(crate) async fn catch_up<D: Domain>(
    app: &App,
    filter: StreamFilter,
    request: fn(StreamId) -> CatchUpRequest,
    checkpoint: Checkpoint,
    mut on_page: impl FnMut(&RebuildReport, &Checkpoint),
) -> Result<RebuildReport, StoreError> {
    let projector = &projector_of_all::<D>(app)?;
    let mut total = RebuildReport::default();
    let catch_up_page = |page: StreamsPage| async move {
        // The view of a lost stream is removed, even if it is parked.
        let lost = page.lost.into_iter().map(CatchUpRequest::redrive);
        let requests: Vec<CatchUpRequest> = page.streams.into_iter().map(request).chain(lost).collect();
        Ok((requests.len(), projector.catch_up(&requests).await))
    };
    walk::<D, _, _>(app, filter, checkpoint, catch_up_page, |(streams, report), checkpoint| {
        total.add(streams, &report);
        on_page(&total, checkpoint);
    })
    .await?;
    Ok(total)
}
