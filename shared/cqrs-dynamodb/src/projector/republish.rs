//! Publishing events again, for a consumer that has lost them or is new. Positions do not move.

use std::{collections::BTreeMap, sync::Arc};

use cqrs::{Position, Projection, PublicRecord, StreamId, Version};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Projector,
    handler::{CONCURRENCY, ProjectionHandler},
    publish::EventSink,
};
use crate::{
    Bookkeeping, EventStore, StoreError, event_store::Continuation, fold::fold, generations::MaintainedGenerations,
};

/// The first event of each stream to publish again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepublishFrom {
    #[default]
    Start,
    /// The first event of this version.
    Version(Version),
    /// The first event that was recorded at this time or later.
    Time(Timestamp),
}

/// The result of publishing events again.
#[derive(Debug, Default)]
pub struct RepublishReport {
    /// Public events that were sent.
    pub events: usize,
    /// Streams with an event that was not sent, or that cannot be read or published to the end, with the error.
    pub failed: BTreeMap<StreamId, Arc<StoreError>>,
}

impl RepublishFrom {
    fn includes(self, record: &PublicRecord) -> bool {
        match self {
            Self::Start => true,
            Self::Version(version) => record.version >= version,
            Self::Time(time) => record.recorded_at >= time,
        }
    }
}

impl RepublishReport {
    fn fail(&mut self, stream: &StreamId, error: StoreError) {
        self.failed.insert(stream.clone(), Arc::new(error));
    }

    /// Adds the report on other streams.
    pub fn add(&mut self, other: Self) {
        self.events += other.events;
        self.failed.extend(other.failed);
    }
}

impl Projector {
    /// Sends the public events of these streams again, in the order of each stream. Costs one read unit per 4 KB of
    /// commits.
    ///
    /// A consumer that knows an event recognizes it by its id.
    pub async fn republish(&self, streams: &[StreamId], from: RepublishFrom) -> RepublishReport {
        let mut report = RepublishReport::default();
        for handler in &self.handlers {
            let of_category: Vec<&StreamId> =
                streams.iter().filter(|stream| stream.category() == handler.category()).collect();
            report.add(handler.republish(&self.events, &of_category, from).await);
        }
        report
    }
}

impl<P: Projection> ProjectionHandler<P> {
    /// Sends the public events of these streams again, if the projection belongs to a publication.
    pub(super) async fn republish(
        &self,
        events: &EventStore,
        streams: &[&StreamId],
        from: RepublishFrom,
    ) -> RepublishReport {
        let mut report = RepublishReport::default();
        let Some(sink) = &self.sink else { return report };
        let records = |stream: &StreamId| {
            let stream = stream.clone();
            async move { (self.public_records(events, &stream).await, stream) }
        };
        let loads: Vec<_> = streams.iter().map(|stream| records(stream)).collect();
        let mut loads = stream::iter(loads).buffered(CONCURRENCY);
        while let Some((loaded, stream)) = loads.next().await {
            let (records, stopped) = match loaded {
                Ok(loaded) => loaded,
                Err(error) => (Vec::new(), Some(error)),
            };
            let records: Vec<PublicRecord> = records.into_iter().filter(|record| from.includes(record)).collect();
            let sent = send(sink.as_ref(), &records, &mut report).await;
            if let Some(error) = sent.err().or(stopped) {
                report.fail(&stream, error);
            }
        }
        report
    }

    /// Returns all public events of a stream, and the error of the first commit that cannot be read or published.
    async fn public_records(
        &self,
        events: &EventStore,
        stream: &StreamId,
    ) -> Result<(Vec<PublicRecord>, Option<StoreError>), StoreError> {
        let Continuation { commits, corrupt, .. } = events.load_all(stream, &[]).await?;
        let (bookkeeping, generations) = (Bookkeeping::default(), MaintainedGenerations::default());
        let folded = fold(&self.model, &bookkeeping, &generations, Position::START, None, commits);
        Ok((folded.published, folded.stopped.or(corrupt)))
    }
}

/// Sends the events, and counts those that were sent. Returns the first error.
async fn send(sink: &dyn EventSink, records: &[PublicRecord], report: &mut RepublishReport) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let results = sink.send(records).await;
    report.events += results.iter().filter(|result| result.is_ok()).count();
    records.iter().zip(results).try_for_each(|(record, result)| result.map_err(|error| error.of(record)))
}
