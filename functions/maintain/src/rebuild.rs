//! Rebuilds views and counters in place: catches up all streams. Views of an older schema are folded anew, others only as far
//! as they are behind.

use std::{collections::BTreeMap, sync::Arc};

use app::App;
use cqrs::StreamId;
use cqrs_dynamodb::{CatchUpReport, CatchUpRequest, StoreError, StreamFilter};
use serde::Serialize;

use crate::{
    projector,
    segments::{Checkpoint, walk},
    with_causes,
};

/// What a rebuild came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RebuildReport {
    /// Streams that were gone through.
    pub streams: usize,
    /// Views that were written.
    pub written: usize,
    /// Views that were as they must be.
    pub unchanged: usize,
    /// Views whose stream is parked, since now or since before.
    pub parked: usize,
    /// Streams that were parked now, or tried again in vain, and why.
    pub parked_now: BTreeMap<StreamId, String>,
    /// Streams that could not be caught up, and why; the rebuild is to be done again for them.
    pub failed: BTreeMap<StreamId, String>,
}

impl RebuildReport {
    /// Adds what became of so many streams.
    pub fn add(&mut self, streams: usize, report: &CatchUpReport) {
        self.streams += streams;
        self.written += report.views_written;
        self.unchanged += report.duplicates;
        self.parked += report.skipped + report.parked.len();
        let told = |(stream, failure): (&StreamId, &Arc<StoreError>)| (stream.clone(), with_causes(failure));
        self.parked_now.extend(report.parked.iter().map(told));
        self.failed.extend(report.failed.iter().map(told));
    }
}

/// Rebuilds from `checkpoint` on, and tells `each` what it has come to so far.
///
/// # Errors
/// [`StoreError`] of a read of the events table.
pub async fn rebuild(
    app: &App,
    checkpoint: Checkpoint,
    each: impl FnMut(&RebuildReport, &Checkpoint),
) -> Result<RebuildReport, StoreError> {
    catch_up(app, StreamFilter::All, CatchUpRequest::new, checkpoint, each).await
}

/// Catches up these streams from `checkpoint` on, with requests of this kind, and tells `each` what it has come to so far.
pub(crate) async fn catch_up(
    app: &App,
    which: StreamFilter,
    request: fn(StreamId) -> CatchUpRequest,
    checkpoint: Checkpoint,
    mut each: impl FnMut(&RebuildReport, &Checkpoint),
) -> Result<RebuildReport, StoreError> {
    let mut rebuilt = RebuildReport::default();
    let catch_up = |streams: Vec<StreamId>| async move {
        let requests: Vec<CatchUpRequest> = streams.into_iter().map(request).collect();
        Ok((requests.len(), projector(app).catch_up(&requests).await))
    };
    walk(app, which, checkpoint, catch_up, |(streams, report), checkpoint| {
        rebuilt.add(streams, &report);
        each(&rebuilt, checkpoint);
    })
    .await?;
    Ok(rebuilt)
}
