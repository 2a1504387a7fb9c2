//! Redrives streams: catches them up even if they are parked.

use std::collections::{BTreeMap, BTreeSet};

use app::App;
use cqrs::StreamId;
use cqrs_dynamodb::{CatchUpReport, CatchUpRequest, ParkedView, StoreError};
use orders::OrderEvent;

use crate::projector;

/// The number of streams that are caught up at once.
const BATCH: usize = 100;

/// Returns the parked streams of each projection. The read is eventually consistent.
///
/// # Errors
/// [`StoreError`], if a read fails.
pub async fn parked(app: &App) -> Result<BTreeMap<&'static str, Vec<ParkedView>>, StoreError> {
    projector(app).parked().await
}

/// Returns the streams of `orders`, or all parked streams if `orders` is empty. Each stream occurs once.
///
/// # Errors
/// [`StoreError`], if a read fails.
pub async fn streams(app: &App, orders: &[String]) -> Result<Vec<StreamId>, StoreError> {
    let parked = if orders.is_empty() { parked(app).await? } else { BTreeMap::new() };
    let keys: BTreeSet<String> =
        parked.into_values().flatten().map(|view| view.key).chain(orders.iter().cloned()).collect();
    Ok(keys.into_iter().map(StreamId::of::<OrderEvent>).collect())
}

/// Catches up `streams`, parked or not. Safe to repeat.
pub async fn redrive(app: &App, streams: &[StreamId]) -> Vec<CatchUpReport> {
    let mut reports = Vec::new();
    for batch in streams.chunks(BATCH) {
        let requests: Vec<CatchUpRequest> = batch.iter().cloned().map(CatchUpRequest::redrive).collect();
        reports.push(projector(app).catch_up(&requests).await);
    }
    reports
}
