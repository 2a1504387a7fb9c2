//! Catches views and counters up with their streams.
//!
//! The DynamoDB stream only signals that an event stream has new commits. The event store is the source of truth; the
//! image in a record merely saves a read. So every delivery (repeated, late, reordered, split) leads to the same
//! tables.
//!
//! Reading order: [`request`] and [`report`], the input and the result; [`handler`], one projection with its tables;
//! [`catch_up`], the loop; [`plan`], its pure decisions; [`chunk`] and [`write_chunk`], the transactions;
//! [`mod@write`], one conditional write; [`park`]; [`verify`].

mod catch_up;
mod chunk;
mod handler;
mod park;
mod plan;
mod report;
mod request;
mod verify;
mod write;
mod write_chunk;

use std::collections::BTreeMap;

use cqrs::{Counters, Projection, Rollup, StreamId};
use futures_util::future::BoxFuture;

use self::{
    catch_up::CatchUp,
    handler::{ProjectionHandler, RollupWriter},
};
pub use self::{
    report::CatchUpReport,
    request::CatchUpRequest,
    verify::{VerifiedViews, ViewDefect},
};
use crate::{CountersTable, EventStore, ParkedView, StoreError, Views};

/// Catches up and verifies the views and counters of its projections.
pub struct Projector {
    events: EventStore,
    handlers: Vec<Box<dyn HandleProjection>>,
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
    fn verify<'a>(
        &'a self,
        events: &'a EventStore,
        streams: &'a [&'a StreamId],
    ) -> BoxFuture<'a, Result<VerifiedViews, StoreError>>;
    fn parked(&self) -> BoxFuture<'_, Result<Vec<ParkedView>, StoreError>>;
    fn counters(&self) -> BoxFuture<'_, Result<Option<Counters>, StoreError>>;
}

impl Projector {
    /// Creates a projector of the commits in `events`, without projections.
    pub fn new(events: EventStore) -> Self {
        Self { events, handlers: Vec::new() }
    }

    /// Adds a projection.
    #[must_use]
    pub fn with<P: Projection>(mut self, views: Views<P>) -> Self {
        self.handlers.push(Box::new(ProjectionHandler { views, rollup: None }));
        self
    }

    /// Adds a projection with a rollup over its views.
    #[must_use]
    pub fn with_rollup<P: Projection, R: Rollup<View = P::View>>(
        mut self,
        views: Views<P>,
        counters: CountersTable,
    ) -> Self {
        let rollup = RollupWriter { counters, contribution: R::contribution };
        self.handlers.push(Box::new(ProjectionHandler { views, rollup: Some(rollup) }));
        self
    }

    /// Returns the schema version of each projection, by name.
    pub fn projections(&self) -> BTreeMap<&'static str, u32> {
        self.handlers.iter().map(|handler| (handler.name(), handler.schema())).collect()
    }

    /// Compares the views of these streams with the folds of the streams, by projection. Writes nothing.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn verify(&self, streams: &[StreamId]) -> Result<BTreeMap<&'static str, VerifiedViews>, StoreError> {
        let mut verified = BTreeMap::new();
        for handler in &self.handlers {
            let streams: Vec<&StreamId> =
                streams.iter().filter(|stream| stream.category() == handler.category()).collect();
            verified.insert(handler.name(), handler.verify(&self.events, &streams).await?);
        }
        Ok(verified)
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

    /// Reads all counters of the projections that have a rollup, by projection. Eventually consistent.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn counters(&self) -> Result<BTreeMap<&'static str, Counters>, StoreError> {
        let mut counters = BTreeMap::new();
        for handler in &self.handlers {
            counters.extend(handler.counters().await?.map(|counters| (handler.name(), counters)));
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
        Box::pin(CatchUp::new(self, events).run(requests))
    }

    fn verify<'a>(
        &'a self,
        events: &'a EventStore,
        streams: &'a [&'a StreamId],
    ) -> BoxFuture<'a, Result<VerifiedViews, StoreError>> {
        Box::pin(self.verify(events, streams))
    }

    fn parked(&self) -> BoxFuture<'_, Result<Vec<ParkedView>, StoreError>> {
        Box::pin(self.views.parked())
    }

    fn counters(&self) -> BoxFuture<'_, Result<Option<Counters>, StoreError>> {
        Box::pin(async {
            let Some(rollup) = &self.rollup else { return Ok(None) };
            // Row names consist of visible ASCII characters, so this range holds all rows.
            rollup.counters.rows(" ", "~").await.map(Some)
        })
    }
}
