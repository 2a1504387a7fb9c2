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

use self::catch_up::{CatchUp, Counting, Keeper};
pub use self::verify::{Verified, Wrong};
use crate::{CountersTable, EventStore, ParkedView, StoreError, Views};

/// Keeps the views of all its projections.
pub struct Projector {
    events: EventStore,
    keepers: Vec<Box<dyn KeepsViews>>,
}

/// Says that a stream has commits, and brings along those that are in hand.
#[derive(Clone, Debug)]
pub struct Doorbell {
    /// Which stream.
    pub stream: StreamId,
    /// A version that it has come to, or passed; `None` if that is not known.
    pub head: Option<Version>,
    /// Commits in hand, in any order: those that need not be read.
    pub commits: BTreeMap<Version, StoredCommit>,
    /// Whether a parked stream is tried again, because something was mended.
    pub redrives: bool,
}

/// What became of the streams that were to be caught up.
#[derive(Debug, Default)]
pub struct Report {
    /// Views written.
    pub projected: usize,
    /// Commits folded into them.
    pub commits: usize,
    /// Views that had come as far before.
    pub duplicates: usize,
    /// Views that had to be healed from the write table, because a commit came before its predecessor.
    pub healed: usize,
    /// Streams of no projection.
    pub unclaimed: usize,
    /// Views whose stream was parked before: their commits wait.
    pub waiting: usize,
    /// Streams that were parked in some projection, and why.
    pub parked: BTreeMap<StreamId, Arc<StoreError>>,
    /// Streams that are neither caught up nor parked in some projection, and why. All the others are, in all of them.
    pub failed: BTreeMap<StreamId, Arc<StoreError>>,
}

/// One projection among others: what [`Keeper`] does, without its types.
trait KeepsViews: Send + Sync {
    fn category(&self) -> &'static str;
    fn name(&self) -> &'static str;
    fn schema(&self) -> u32;
    fn catch_up<'a>(&'a self, events: &'a EventStore, bells: &'a [&'a Doorbell]) -> BoxFuture<'a, Report>;
    fn verify<'a>(
        &'a self,
        events: &'a EventStore,
        streams: &'a [&'a StreamId],
    ) -> BoxFuture<'a, Result<Verified, StoreError>>;
    fn parked(&self) -> BoxFuture<'_, Result<Vec<ParkedView>, StoreError>>;
    fn counters(&self) -> BoxFuture<'_, Result<Option<Counters>, StoreError>>;
}

impl Doorbell {
    /// A bell for `stream` that brings nothing along: its commits are read from the write table.
    pub fn new(stream: StreamId) -> Self {
        Self { stream, head: None, commits: BTreeMap::new(), redrives: false }
    }

    /// The same, for a stream that may be parked.
    pub fn redrive(stream: StreamId) -> Self {
        Self { redrives: true, ..Self::new(stream) }
    }

    /// The stream has come to `version`; its commit may be in hand.
    pub fn ring(&mut self, version: Version, commit: Option<StoredCommit>) {
        self.head = self.head.max(Some(version));
        self.commits.extend(commit.map(|commit| (version, commit)));
    }
}

impl Projector {
    /// A projector of the commits in `events`.
    pub fn new(events: EventStore) -> Self {
        Self { events, keepers: Vec::new() }
    }

    /// Keeps the views of a projection too.
    #[must_use]
    pub fn with<P: Projection>(mut self, views: Views<P>) -> Self {
        self.keepers.push(Box::new(Keeper { views, rollup: None }));
        self
    }

    /// Keeps the views of a projection too, and the counters over them.
    #[must_use]
    pub fn with_rollup<P: Projection, R: Rollup<View = P::View>>(
        mut self,
        views: Views<P>,
        counters: CountersTable,
    ) -> Self {
        self.keepers
            .push(Box::new(Keeper { views, rollup: Some(Counting { counters, contribution: R::contribution }) }));
        self
    }

    /// The names of the projections, and the schemas of their views.
    pub fn projections(&self) -> BTreeMap<&'static str, u32> {
        self.keepers.iter().map(|keeper| (keeper.name(), keeper.schema())).collect()
    }

    /// Holds the views of these streams against what the streams fold to, by projection. Nothing is written.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn verify(&self, streams: &[StreamId]) -> Result<BTreeMap<&'static str, Verified>, StoreError> {
        let mut verified = BTreeMap::new();
        for keeper in &self.keepers {
            let streams: Vec<&StreamId> =
                streams.iter().filter(|stream| stream.category() == keeper.category()).collect();
            verified.insert(keeper.name(), keeper.verify(&self.events, &streams).await?);
        }
        Ok(verified)
    }

    /// The streams that are parked, by projection; as of a moment ago.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn parked(&self) -> Result<BTreeMap<&'static str, Vec<ParkedView>>, StoreError> {
        let mut parked = BTreeMap::new();
        for keeper in &self.keepers {
            parked.insert(keeper.name(), keeper.parked().await?);
        }
        Ok(parked)
    }

    /// The counters of those projections that have a rollup; as of a moment ago.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn counters(&self) -> Result<BTreeMap<&'static str, Counters>, StoreError> {
        let mut counters = BTreeMap::new();
        for keeper in &self.keepers {
            counters.extend(keeper.counters().await?.map(|of| (keeper.name(), of)));
        }
        Ok(counters)
    }

    /// Brings the views of these streams to where the bells say, or further. Each stream may have one bell.
    ///
    /// Safe to repeat, to cut short at any call, and to run beside others: every write is conditional on what it was
    /// folded from.
    pub async fn catch_up(&self, bells: &[Doorbell]) -> Report {
        let mut report = Report::default();
        for keeper in &self.keepers {
            let bells: Vec<&Doorbell> =
                bells.iter().filter(|bell| bell.stream.category() == keeper.category()).collect();
            report.add(keeper.catch_up(&self.events, &bells).await);
        }
        let claimed = |bell: &Doorbell| self.keepers.iter().any(|k| k.category() == bell.stream.category());
        report.unclaimed = bells.iter().filter(|bell| !claimed(bell)).count();
        report
    }
}

impl<P: Projection> KeepsViews for Keeper<P> {
    fn category(&self) -> &'static str {
        <P::Event as cqrs::Event>::CATEGORY
    }

    fn name(&self) -> &'static str {
        P::NAME
    }

    fn schema(&self) -> u32 {
        P::SCHEMA
    }

    fn catch_up<'a>(&'a self, events: &'a EventStore, bells: &'a [&'a Doorbell]) -> BoxFuture<'a, Report> {
        Box::pin(CatchUp::new(self, events).run(bells))
    }

    fn verify<'a>(
        &'a self,
        events: &'a EventStore,
        streams: &'a [&'a StreamId],
    ) -> BoxFuture<'a, Result<Verified, StoreError>> {
        Box::pin(self.verify(events, streams))
    }

    fn parked(&self) -> BoxFuture<'_, Result<Vec<ParkedView>, StoreError>> {
        Box::pin(self.views.parked())
    }

    fn counters(&self) -> BoxFuture<'_, Result<Option<Counters>, StoreError>> {
        Box::pin(async {
            let Some(counting) = &self.rollup else { return Ok(None) };
            // All rows there are: their names are visible characters.
            counting.counters.rows(" ", "~").await.map(Some)
        })
    }
}

impl Report {
    fn add(&mut self, other: Report) {
        self.projected += other.projected;
        self.commits += other.commits;
        self.duplicates += other.duplicates;
        self.healed += other.healed;
        self.waiting += other.waiting;
        for (stream, failure) in other.parked {
            self.parked.entry(stream).or_insert(failure);
        }
        for (stream, failure) in other.failed {
            self.failed.entry(stream).or_insert(failure);
        }
    }
}
