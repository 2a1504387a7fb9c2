//! One projection with its tables.

use std::{collections::BTreeMap, sync::Arc};

use cqrs::{Projection, ReadModel};
use futures_util::{StreamExt, stream};

use super::publish::EventSink;
use crate::{CountersTable, Generations, StoreError, Views};

/// The number of streams that are read, folded, parked or written concurrently.
pub(super) const CONCURRENCY: usize = 16;

/// A projection, what is declared beside its views, and all their tables.
pub(super) struct ProjectionHandler<P: Projection> {
    pub(super) model: ReadModel<P>,
    pub(super) views: Views<P>,
    /// The tables of counters, by declared name.
    pub(super) counters: BTreeMap<&'static str, CountersTable>,
    /// The deployed tables of rows, by declared name.
    pub(super) rows: BTreeMap<&'static str, Arc<str>>,
    /// Receives the public events of a publication.
    pub(super) sink: Option<Arc<dyn EventSink>>,
}

/// The active generations, by declared table of counters.
pub(super) type KnownGenerations = BTreeMap<&'static str, Generations>;

impl<P: Projection> ProjectionHandler<P> {
    /// Returns the active generations of the tables of counters, as this process knows them.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub(super) async fn known_generations(&self) -> Result<KnownGenerations, StoreError> {
        let mut known = KnownGenerations::new();
        for (name, table) in &self.counters {
            known.insert(*name, table.generations().await?);
        }
        Ok(known)
    }
}

/// Awaits all futures, at most `limit` of them concurrently. Returns the results in the order of the futures.
pub(super) async fn concurrently<F: Future>(limit: usize, futures: Vec<F>) -> Vec<F::Output> {
    stream::iter(futures).buffered(limit).collect().await
}
