//! One projection with its tables.

use cqrs::{Counters, Projection};
use futures_util::{StreamExt, stream};

use crate::{CountersTable, Views};

/// The number of streams that are read, folded, parked or written concurrently.
pub(super) const CONCURRENCY: usize = 16;

/// A projection: its views, and the rollup over them if there is one.
pub(super) struct ProjectionHandler<P: Projection> {
    pub(super) views: Views<P>,
    pub(super) rollup: Option<RollupWriter<P::View>>,
}

/// A rollup: its counters, and a view's contribution to them.
pub(super) struct RollupWriter<V> {
    pub(super) counters: CountersTable,
    pub(super) contribution: fn(&V) -> Counters,
}

impl<P: Projection> ProjectionHandler<P> {
    /// Returns the view's contribution to the counters: nothing, if there is no rollup.
    pub(super) fn contribution(&self, view: &P::View) -> Counters {
        self.rollup.as_ref().map(|rollup| (rollup.contribution)(view)).unwrap_or_default()
    }
}

/// Awaits all futures, at most `limit` of them concurrently. Returns the results in the order of the futures.
pub(super) async fn concurrently<F: Future>(limit: usize, futures: Vec<F>) -> Vec<F::Output> {
    stream::iter(futures).buffered(limit).collect().await
}
