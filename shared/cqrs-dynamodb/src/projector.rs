//! Brings views and counters to the head of their streams.
//!
//! The stream of the write table is a doorbell: it says that something is new, and usually brings it along. What is
//! true stands in the write table. So any delivery (again, late, in another order, cut anew) ends in the same tables.

mod catch_up;
mod chunk;
mod park;
mod verify;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use cqrs::{Counters, Projection, Rollup, StoredCommit, StreamId, Version};
use futures_util::future::BoxFuture;

use self::catch_up::{CatchUp, ProjectionHandler, RollupWriter};
pub use self::verify::{VerifiedViews, ViewDefect};
use crate::{CountersTable, EventStore, ParkedView, StoreError, Views};

/// Keeps the views of all its projections.
pub struct Projector {
    events: EventStore,
    handlers: Vec<Box<dyn HandleProjection>>,
}

/// Says that a stream has commits, and brings along those that are in hand.
#[derive(Clone, Debug)]
pub struct CatchUpRequest {
    /// Which stream.
    pub stream: StreamId,
    /// A version that it has come to, or passed; `None` if that is not known.
    pub head: Option<Version>,
    /// Commits in hand, in any order: those that need not be read.
    pub commits: BTreeMap<Version, StoredCommit>,
    /// Whether a parked stream is tried again, because something was mended.
    pub include_parked: bool,
}

/// What became of the streams that were to be caught up.
#[derive(Debug, Default)]
pub struct CatchUpReport {
    /// Views written.
    pub views_written: usize,
    /// Commits folded into them.
    pub commits: usize,
    /// Views that had come as far before.
    pub duplicates: usize,
    /// Views that had to be gaps_filled from the write table, because a commit came before its predecessor.
    pub gaps_filled: usize,
    /// Streams of no projection.
    pub unhandled: usize,
    /// Views whose stream was parked before: their commits wait.
    pub skipped: usize,
    /// Streams that were parked in some projection, and why.
    pub parked: BTreeMap<StreamId, Arc<StoreError>>,
    /// Streams that are neither caught up nor parked in some projection, and why. All the others are, in all of them.
    pub failed: BTreeMap<StreamId, Arc<StoreError>>,
}

/// One projection among others: what [`ProjectionHandler`] does, without its types.
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

impl CatchUpRequest {
    /// A request for `stream` that brings nothing along: its commits are read from the write table.
    pub fn new(stream: StreamId) -> Self {
        Self { stream, head: None, commits: BTreeMap::new(), include_parked: false }
    }

    /// The same, for a stream that may be parked.
    pub fn redrive(stream: StreamId) -> Self {
        Self { include_parked: true, ..Self::new(stream) }
    }

    /// The stream has come to `version`; its commit may be in hand.
    pub fn observe(&mut self, version: Version, commit: Option<StoredCommit>) {
        self.head = self.head.max(Some(version));
        self.commits.extend(commit.map(|commit| (version, commit)));
    }
}

impl Projector {
    /// A projector of the commits in `events`.
    pub fn new(events: EventStore) -> Self {
        Self { events, handlers: Vec::new() }
    }

    /// Keeps the views of a projection too.
    #[must_use]
    pub fn with<P: Projection>(mut self, views: Views<P>) -> Self {
        self.handlers.push(Box::new(ProjectionHandler { views, rollup: None }));
        self
    }

    /// Keeps the views of a projection too, and the counters over them.
    #[must_use]
    pub fn with_rollup<P: Projection, R: Rollup<View = P::View>>(
        mut self,
        views: Views<P>,
        counters: CountersTable,
    ) -> Self {
        self.handlers.push(Box::new(ProjectionHandler {
            views,
            rollup: Some(RollupWriter { counters, contribution: R::contribution }),
        }));
        self
    }

    /// The names of the projections, and the schemas of their views.
    pub fn projections(&self) -> BTreeMap<&'static str, u32> {
        self.handlers.iter().map(|handler| (handler.name(), handler.schema())).collect()
    }

    /// Holds the views of these streams against what the streams fold to, by projection. Nothing is written.
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

    /// The streams that are parked, by projection; as of a moment ago.
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

    /// The counters of those projections that have a rollup; as of a moment ago.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn counters(&self) -> Result<BTreeMap<&'static str, Counters>, StoreError> {
        let mut counters = BTreeMap::new();
        for handler in &self.handlers {
            counters.extend(handler.counters().await?.map(|of| (handler.name(), of)));
        }
        Ok(counters)
    }

    /// Brings the views of these streams to where the requests say, or further. Each stream may have one request.
    ///
    /// Safe to repeat, to cut short at any call, and to run beside others: every write is conditional on what it was
    /// folded from.
    pub async fn catch_up(&self, requests: &[CatchUpRequest]) -> CatchUpReport {
        let mut report = CatchUpReport::default();
        for handler in &self.handlers {
            let requests: Vec<&CatchUpRequest> =
                requests.iter().filter(|request| request.stream.category() == handler.category()).collect();
            report.add(handler.catch_up(&self.events, &requests).await);
        }
        let claimed =
            |request: &CatchUpRequest| self.handlers.iter().any(|k| k.category() == request.stream.category());
        report.unhandled = requests.iter().filter(|request| !claimed(request)).count();
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
            // All rows there are: their names are visible characters.
            rollup.counters.rows(" ", "~").await.map(Some)
        })
    }
}

impl CatchUpReport {
    fn add(&mut self, other: CatchUpReport) {
        self.views_written += other.views_written;
        self.commits += other.commits;
        self.duplicates += other.duplicates;
        self.gaps_filled += other.gaps_filled;
        self.skipped += other.skipped;
        for (stream, failure) in other.parked {
            self.parked.entry(stream).or_insert(failure);
        }
        for (stream, failure) in other.failed {
            self.failed.entry(stream).or_insert(failure);
        }
    }
}
