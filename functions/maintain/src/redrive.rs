//! Redrives streams: catches them up even if they are parked.

use std::collections::{BTreeMap, BTreeSet};

use app::App;
use cqrs::{Domain, StreamId};
use cqrs_dynamodb::{CatchUpReport, CatchUpRequest, ParkedView, StoreError};
use messaging::publisher::projector_of_all;

/// The number of streams that are caught up at once.
const BATCH: usize = 100;

/// Returns the parked streams of each projection. The read is eventually consistent.
///
/// # Errors
/// [`StoreError`], if a read fails.
pub async fn parked<D: Domain>(app: &App) -> Result<BTreeMap<&'static str, Vec<ParkedView>>, StoreError> {
    projector_of_all::<D>(app)?.parked().await
}

/// Returns `streams`, or all parked streams if `streams` is empty. Each stream occurs once.
///
/// # Errors
/// [`StoreError`], if a read fails.
pub async fn streams<D: Domain>(app: &App, streams: &[StreamId]) -> Result<Vec<StreamId>, StoreError> {
    let parked = if streams.is_empty() { parked::<D>(app).await? } else { BTreeMap::new() };
    let parked = parked.into_values().flatten().map(|view| view.stream);
    let streams: BTreeSet<StreamId> = parked.chain(streams.iter().cloned()).collect();
    Ok(streams.into_iter().collect())
}

/// Catches up `streams`, parked or not. Safe to repeat.
///
/// # Errors
/// [`StoreError::Bug`], if the read models are declared wrongly. Views that cannot be written are in the reports.
pub async fn redrive<D: Domain>(app: &App, streams: &[StreamId]) -> Result<Vec<CatchUpReport>, StoreError> {
    let projector = projector_of_all::<D>(app)?;
    let mut reports = Vec::new();
    for batch in streams.chunks(BATCH) {
        let requests: Vec<CatchUpRequest> = batch.iter().cloned().map(CatchUpRequest::redrive).collect();
        reports.push(projector.catch_up(&requests).await);
    }
    Ok(reports)
}
