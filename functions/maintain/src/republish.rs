//! Publishes events again, for a consumer that has lost them or is new.

use std::collections::BTreeMap;

use app::App;
use cqrs::{Domain, StreamId};
use cqrs_dynamodb::{Projector, RepublishFrom, RepublishReport, StoreError, StreamFilter, StreamsPage};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    segments::{Checkpoint, walk},
    with_causes,
};

/// The number of streams whose events are published again at once.
const BATCH: usize = 100;

/// The result of publishing events again.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Republished {
    /// Streams visited.
    pub streams: usize,
    /// Public events sent.
    pub events: usize,
    /// Streams with events that were not sent, with the reason. They must be visited again.
    pub failed: BTreeMap<StreamId, String>,
}

impl Republished {
    fn add(&mut self, streams: usize, report: &RepublishReport) {
        self.streams += streams;
        self.events += report.events;
        let failed = report.failed.iter();
        self.failed.extend(failed.map(|(stream, error)| (stream.clone(), with_causes(error))));
    }
}

/// Publishes the events of these streams again. `publisher` sends to the bus of the consumer.
pub async fn republish(publisher: &Projector, streams: &[StreamId], from: RepublishFrom) -> Republished {
    let mut total = Republished::default();
    for batch in streams.chunks(BATCH) {
        total.add(batch.len(), &publisher.republish(batch, from).await);
    }
    total
}

/// Publishes the events of all streams again, from `checkpoint` on. With a time, only streams with a commit since then
/// are read. Calls `on_page` after each page with the report and the checkpoint so far.
///
/// # Errors
/// [`StoreError`], if a scan fails. Events that were not sent are in the report.
pub async fn republish_all<D: Domain>(
    app: &App,
    publisher: &Projector,
    from: RepublishFrom,
    checkpoint: Checkpoint,
    mut on_page: impl FnMut(&Republished, &Checkpoint),
) -> Result<Republished, StoreError> {
    let filter = match from {
        RepublishFrom::Time(time) => StreamFilter::RecordedBetween(time, Timestamp::MAX),
        RepublishFrom::Start | RepublishFrom::Version(_) => StreamFilter::All,
    };
    let mut total = Republished::default();
    let republish_page =
        |page: StreamsPage| async move { Ok((page.streams.len(), publisher.republish(&page.streams, from).await)) };
    walk::<D, _, _>(app, filter, checkpoint, republish_page, |(streams, report), checkpoint| {
        total.add(streams, &report);
        on_page(&total, checkpoint);
    })
    .await?;
    Ok(total)
}
