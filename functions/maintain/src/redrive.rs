//! Tries parked streams again, or any other.

use std::collections::{BTreeMap, BTreeSet};

use app::App;
use cqrs::StreamId;
use cqrs_dynamodb::{CatchUpReport, CatchUpRequest, ParkedView, StoreError};
use orders::OrderEvent;

use crate::projector;

/// How many streams are caught up at once.
const BATCH: usize = 100;

/// The parked streams, by projection; as of a moment ago.
///
/// # Errors
/// [`StoreError`] of a read.
pub async fn parked(app: &App) -> Result<BTreeMap<&'static str, Vec<ParkedView>>, StoreError> {
    projector(app).parked().await
}

/// The streams of these orders, or of all that are parked, each once.
///
/// # Errors
/// [`StoreError`] of a read.
pub async fn streams(app: &App, orders: &[String]) -> Result<Vec<StreamId>, StoreError> {
    let parked = if orders.is_empty() { parked(app).await? } else { BTreeMap::new() };
    let keys: BTreeSet<String> =
        parked.into_values().flatten().map(|view| view.key).chain(orders.iter().cloned()).collect();
    Ok(keys.into_iter().map(StreamId::of::<OrderEvent>).collect())
}

/// Catches up these streams, parked or not. Safe to repeat.
pub async fn redrive(app: &App, streams: &[StreamId]) -> Vec<CatchUpReport> {
    let mut reports = Vec::new();
    for batch in streams.chunks(BATCH) {
        let requests: Vec<CatchUpRequest> = batch.iter().cloned().map(CatchUpRequest::redrive).collect();
        reports.push(projector(app).catch_up(&requests).await);
    }
    reports
}
