//! Writes one chunk, until each of its streams is written, parked, returned for another fold, or failed.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use cqrs::{Projection, PublicRecord};

use super::{
    changes::Changes,
    handler::ProjectionHandler,
    plan::Work,
    report::CatchUpReport,
    write::{ViewAction, ViewWrite, WriteOutcome},
};
use crate::{
    StoreError,
    views::{self, StoredView},
};

/// The number of attempts to write a chunk that collides with other writes.
const ATTEMPTS: u32 = 20;

/// A folded view that is not written yet.
pub(super) struct PendingView<'a, V> {
    pub(super) work: Work<'a, V>,
    pub(super) write: ViewWrite,
    pub(super) part: WritePart<V>,
    /// The public events of the folded commits. They are sent before the write.
    pub(super) records: Vec<PublicRecord>,
}

/// The part of a view that a write stores.
pub(super) enum WritePart<V> {
    /// The view, after all its instalments.
    View {
        /// The versions of the folded commits.
        commits: RangeInclusive<u64>,
        fills_gap: bool,
        /// The error that stopped the fold before the head. The view carries the parked mark.
        stopped: Option<StoreError>,
    },
    /// The removal of a view whose stream has no commits.
    Removal,
    /// An instalment. Holds the stored view after it.
    Instalment(Box<StoredView<V>>),
}

impl<V> PendingView<'_, V> {
    /// Returns the size of the items in bytes, and the changes beside the view.
    pub(super) fn bytes_and_changes(&self) -> (usize, &Changes) {
        (self.write.bytes, &self.write.changes)
    }
}

/// Writes one chunk, and collects the results.
pub(super) struct ChunkWriter<'a, 'h, P: Projection> {
    handler: &'h ProjectionHandler<P>,
    pending: Vec<PendingView<'a, P::View>>,
    attempt: u32,
    /// Streams to fold again.
    pub(super) to_refold: Vec<Work<'a, P::View>>,
    pub(super) report: CatchUpReport,
}

impl<'a, 'h, P: Projection> ChunkWriter<'a, 'h, P> {
    pub(super) fn new(handler: &'h ProjectionHandler<P>, chunk: Vec<PendingView<'a, P::View>>) -> Self {
        Self { handler, pending: chunk, attempt: 0, to_refold: Vec::new(), report: CatchUpReport::default() }
    }

    /// Writes the chunk. Afterwards, each of its streams is in `to_refold` or counted in `report`.
    pub(super) async fn run(mut self) -> Self {
        while !self.pending.is_empty() {
            let writes: Vec<&ViewWrite> = self.pending.iter().map(|view| &view.write).collect();
            match self.handler.write(&writes).await {
                WriteOutcome::Written => self.written(),
                WriteOutcome::Superseded(stored) => self.superseded(stored),
                WriteOutcome::Busy(error) => self.busy(error).await,
                WriteOutcome::Unstorable(error) => self.unstorable(error).await,
                WriteOutcome::Failed(error) => self.fail(error),
            }
        }
        self
    }

    /// Counts the views in the report. A stream is folded again after an instalment, and if it was parked, because the
    /// requests for its later commits were skipped.
    fn written(&mut self) {
        for PendingView { work, write, part, .. } in self.pending.drain(..) {
            match (part, write.action) {
                (WritePart::Removal, _) => self.report.views_removed += 1,
                (WritePart::Instalment(stored), _) => self.to_refold.push(Work { stored: Some(*stored), ..work }),
                (WritePart::View { commits, fills_gap, stopped }, action) => {
                    self.report.view_written(&work.request.stream, commits, fills_gap);
                    match (stopped, action) {
                        (Some(error), _) => self.report.park(&work.request.stream, error),
                        (None, ViewAction::Put(item)) if work.parked().is_some() => {
                            let stored = Some(views::decode::<P>(item));
                            self.to_refold.push(Work { request: work.request, stored, unparked: true });
                        }
                        (None, _) => {}
                    }
                }
            }
        }
    }

    /// Moves the views that have changed to `to_refold`. The others stay in the chunk.
    fn superseded(&mut self, mut stored: BTreeMap<usize, Option<StoredView<P::View>>>) {
        for (index, view) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            match stored.remove(&index) {
                Some(stored) => self.to_refold.push(Work { stored, ..view.work }),
                None => self.pending.push(view),
            }
        }
    }

    /// Waits before the next attempt, or fails the chunk if no attempt or no time is left.
    async fn busy(&mut self, error: StoreError) {
        self.attempt += 1;
        let dynamo = self.handler.views.dynamo();
        if self.attempt == ATTEMPTS || dynamo.call_config().is_err() {
            self.fail(error);
        } else {
            dynamo.back_off(self.attempt).await;
        }
    }

    /// Halves the chunk to find the view that cannot be stored, and parks the stream of that view.
    async fn unstorable(&mut self, error: StoreError) {
        let mut chunk = std::mem::take(&mut self.pending);
        if chunk.len() == 1 {
            let streams = chunk.into_iter().zip([error]).map(|(view, error)| (view.work, error)).collect();
            self.to_refold.extend(self.handler.park_all(streams, &mut self.report).await);
            return;
        }
        let second = chunk.split_off(chunk.len() / 2);
        for half in [chunk, second] {
            let half = Box::pin(ChunkWriter::new(self.handler, half).run()).await;
            self.to_refold.extend(half.to_refold);
            self.report.add(half.report);
        }
    }

    fn fail(&mut self, error: StoreError) {
        let error = Arc::new(error);
        self.pending.drain(..).for_each(|view| self.report.fail(&view.work.request.stream, Arc::clone(&error)));
    }
}
