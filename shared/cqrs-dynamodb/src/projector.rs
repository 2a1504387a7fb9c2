//! Catches views and counters up with their streams.
//!
//! The DynamoDB stream only signals that an event stream has new commits. The event store is the source of truth; the
//! image in a record merely saves a read. So every delivery (repeated, late, reordered, split) leads to the same
//! tables.
//!
//! Reading order: [`builder`], from declared read models to a projector; [`request`] and [`report`], the input and the
//! result; [`handler`], one projection with its tables; [`catch_up`], the loop; [`plan`], its pure decisions;
//! [`changes`], the changes of counters and rows; [`instalment`], a part of them; [`chunk`] and [`write_chunk`], the
//! transactions; [`mod@write`], one conditional write; [`publish`]; [`republish`]; [`park`]; [`verify`];
//! [`lost_streams`], the scan over all streams.

mod builder;
mod catch_up;
mod changes;
mod chunk;
mod handler;
mod instalment;
mod lost_streams;
mod park;
mod plan;
mod publish;
mod report;
mod republish;
mod request;
mod verify;
mod write;
mod write_chunk;

use std::collections::BTreeMap;

use cqrs::{Counters, Projection, StreamId};
use futures_util::future::BoxFuture;

pub use self::{
    builder::ProjectorBuilder,
    publish::{EventSink, SendError},
    report::CatchUpReport,
    republish::{RepublishFrom, RepublishReport},
    request::CatchUpRequest,
    verify::{Verified, VerifiedStreams, VerifiedViews, ViewDefect},
};
use self::{
    catch_up::CatchUp,
    handler::ProjectionHandler,
    lost_streams::ViewsPage,
    verify::{LoadedStream, ViewItems},
};
use crate::{CountersTable, EventStore, InGeneration, ParkedView, Segment, StoreError, call::Consistency};

/// Catches up and verifies the views and counters of its projections.
pub struct Projector {
    events: EventStore,
    handlers: Vec<Box<dyn HandleProjection>>,
    /// The tables of counters of all projections, by declared name.
    counters: BTreeMap<&'static str, CountersTable>,
}

/// A [`ProjectionHandler`] without its type parameters.
trait HandleProjection: Send + Sync {
    fn category(&self) -> &'static str;
    fn name(&self) -> &'static str;
    fn schema(&self) -> u32;
    fn catch_up<'a>(
        &'a self,
        events: &'a EventStore,
        requests: &'a [&'a CatchUpRequest],
    ) -> BoxFuture<'a, CatchUpReport>;
    fn items<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<ViewItems, StoreError>>;
    fn verify<'a>(
        &'a self,
        streams: &'a [&'a LoadedStream<'a>],
        items: &'a ViewItems,
    ) -> BoxFuture<'a, Result<VerifiedViews, StoreError>>;
    fn parked(&self) -> BoxFuture<'_, Result<Vec<ParkedView>, StoreError>>;
    fn republish<'a>(
        &'a self,
        events: &'a EventStore,
        streams: &'a [&'a StreamId],
        from: RepublishFrom,
    ) -> BoxFuture<'a, RepublishReport>;
    fn page<'a>(&'a self, segment: Segment, after: Option<&'a str>) -> BoxFuture<'a, Result<ViewsPage, StoreError>>;
}

impl Projector {
    /// Returns the schema version of each projection, by name.
    pub fn projections(&self) -> BTreeMap<&'static str, u32> {
        self.handlers.iter().map(|handler| (handler.name(), handler.schema())).collect()
    }

    /// Lists the parked streams, by projection. Eventually consistent.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn parked(&self) -> Result<BTreeMap<&'static str, Vec<ParkedView>>, StoreError> {
        let mut parked = BTreeMap::new();
        for handler in &self.handlers {
            parked.insert(handler.name(), handler.parked().await?);
        }
        Ok(parked)
    }

    /// Returns the tables of counters, by declared name.
    pub fn counters_tables(&self) -> &BTreeMap<&'static str, CountersTable> {
        &self.counters
    }

    /// Reads all counters of the active generations. Eventually consistent; costs half a read unit per 4 KB of a shard.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn counters(&self) -> Result<BTreeMap<InGeneration, Counters>, StoreError> {
        let mut counters = BTreeMap::new();
        for (name, table) in &self.counters {
            for generation in table.generations().await?.active() {
                counters.insert(InGeneration::new(*name, generation), table.all_rows(generation).await?);
            }
        }
        Ok(counters)
    }

    /// Catches the views of these streams up to the requested versions, or to later ones. Each stream may have at most
    /// one request.
    ///
    /// Safe to repeat, to interrupt at any call, and to run concurrently: every write is conditional on the revision
    /// that it was folded from.
    pub async fn catch_up(&self, requests: &[CatchUpRequest]) -> CatchUpReport {
        let mut report = CatchUpReport::default();
        for handler in &self.handlers {
            let requests: Vec<&CatchUpRequest> =
                requests.iter().filter(|request| request.stream.category() == handler.category()).collect();
            report.add(handler.catch_up(&self.events, &requests).await);
        }
        let is_handled = |request: &CatchUpRequest| {
            self.handlers.iter().any(|handler| handler.category() == request.stream.category())
        };
        report.unhandled = requests.iter().filter(|request| !is_handled(request)).count();
        report
    }
}

impl<P: Projection> HandleProjection for ProjectionHandler<P> {
    fn category(&self) -> &'static str {
        <P::Event as cqrs::Event>::CATEGORY
    }

    fn name(&self) -> &'static str {
        P::NAME
    }

    fn schema(&self) -> u32 {
        P::SCHEMA
    }

    fn catch_up<'a>(
        &'a self,
        events: &'a EventStore,
        requests: &'a [&'a CatchUpRequest],
    ) -> BoxFuture<'a, CatchUpReport> {
        if self.model.publication().is_some() && self.sink.is_none() {
            return Box::pin(async { CatchUpReport::default() });
        }
        Box::pin(CatchUp::new(self, events).run(requests))
    }

    fn items<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<ViewItems, StoreError>> {
        Box::pin(self.views.items(keys, Consistency::Strong))
    }

    fn verify<'a>(
        &'a self,
        streams: &'a [&'a LoadedStream<'a>],
        items: &'a ViewItems,
    ) -> BoxFuture<'a, Result<VerifiedViews, StoreError>> {
        Box::pin(self.verify(streams, items))
    }

    fn parked(&self) -> BoxFuture<'_, Result<Vec<ParkedView>, StoreError>> {
        Box::pin(self.views.parked())
    }

    fn republish<'a>(
        &'a self,
        events: &'a EventStore,
        streams: &'a [&'a StreamId],
        from: RepublishFrom,
    ) -> BoxFuture<'a, RepublishReport> {
        Box::pin(self.republish(events, streams, from))
    }

    fn page<'a>(&'a self, segment: Segment, after: Option<&'a str>) -> BoxFuture<'a, Result<ViewsPage, StoreError>> {
        Box::pin(self.page(segment, after))
    }
}
