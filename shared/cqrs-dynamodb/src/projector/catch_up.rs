//! The loop that catches one projection up with many streams. Projector, redrive, sweep and rebuild all run this loop.

use std::{collections::BTreeMap, sync::Arc};

use cqrs::{Position, Projection, Version};

use super::{
    changes::{Changes, fitting, steps},
    chunk::pack,
    handler::{CONCURRENCY, KnownGenerations, ProjectionHandler, concurrently},
    plan::{FoldPlan, FoldResult, Plan, Work},
    report::CatchUpReport,
    request::CatchUpRequest,
    write::{ViewAction, ViewWrite},
    write_chunk::{ChunkWriter, PendingView, WritePart},
};
use crate::{
    Bookkeeping, EventStore, StoreError,
    call::Consistency,
    event_store::Continuation,
    fold::{Folded, fold},
    generations::{Generations, MaintainedGenerations},
    item::{self, text},
    parked::{PARKED, PARKED_IN},
    views,
};

/// One run over a batch of requests.
pub(super) struct CatchUp<'a, P: Projection> {
    handler: &'a ProjectionHandler<P>,
    events: &'a EventStore,
}

/// The decision on a stream after its commits are folded.
enum NextStep<'a, V> {
    UpToDate { unparked: bool },
    Skip,
    Write(PendingView<'a, V>),
    Park(Work<'a, V>, StoreError),
}

impl<'a, P: Projection> CatchUp<'a, P> {
    pub(super) fn new(handler: &'a ProjectionHandler<P>, events: &'a EventStore) -> Self {
        Self { handler, events }
    }

    /// Reads the views, folds the missing commits, and writes the views. Repeats this for the streams whose view has
    /// changed since it was read, or that are no longer parked.
    pub(super) async fn run(self, requests: &[&'a CatchUpRequest]) -> CatchUpReport {
        let mut report = CatchUpReport::default();
        let mut work = self.read_views(requests, &mut report).await;
        while !work.is_empty() {
            let (pending, mut stopped) = self.fold_all(work, &mut report).await;
            let (pending, refused) = self.handler.publish(pending, &mut report).await;
            stopped.extend(refused);
            work = self.handler.park_all(stopped, &mut report).await;
            work.extend(self.write_all(pending, &mut report).await);
        }
        report
    }

    /// Reads the stored views of the requests.
    ///
    /// A stale position of a publication is safe: it publishes an event again, and then its conditional write fails. So
    /// positions are read with eventual consistency, for half the cost.
    ///
    /// If a request holds the stream's first commit, we assume that there is no view yet and save the read. If there is
    /// one, the conditional write fails and we retry from the stored view.
    async fn read_views(&self, requests: &[&'a CatchUpRequest], report: &mut CatchUpReport) -> Vec<Work<'a, P::View>> {
        let (new, known): (Vec<&CatchUpRequest>, Vec<_>) =
            requests.iter().partition(|request| request.commits.contains_key(&Version::FIRST));
        let mut work: Vec<_> = new.into_iter().map(|request| Work::new(request, None)).collect();
        let keys: Vec<&str> = known.iter().map(|request| request.stream.key()).collect();
        let is_publication = self.handler.model.publication().is_some();
        let consistency = if is_publication { Consistency::Eventual } else { Consistency::Strong };
        match self.handler.views.get_many(&keys, consistency).await {
            Ok(stored) => work.extend(with_stored_views(known, stored)),
            Err(error) => {
                let error = Arc::new(error);
                known.iter().for_each(|request| report.fail(&request.stream, Arc::clone(&error)));
            }
        }
        work
    }

    /// Folds all streams. Returns the views to write, and the streams to park.
    async fn fold_all(
        &self,
        work: Vec<Work<'a, P::View>>,
        report: &mut CatchUpReport,
    ) -> (Vec<PendingView<'a, P::View>>, Vec<(Work<'a, P::View>, StoreError)>) {
        let known = match self.handler.known_generations().await {
            Ok(known) => known,
            Err(error) => {
                let error = Arc::new(error);
                work.iter().for_each(|work| report.fail(&work.request.stream, Arc::clone(&error)));
                return (Vec::new(), Vec::new());
            }
        };
        let fold = |work: Work<'a, P::View>| async {
            let stream = &work.request.stream;
            (stream, self.fold(work, &known).await)
        };
        let (mut pending, mut stopped) = (Vec::new(), Vec::new());
        for (stream, step) in concurrently(CONCURRENCY, work.into_iter().map(fold).collect()).await {
            match step {
                Ok(NextStep::Write(view)) => pending.push(view),
                Ok(NextStep::Park(work, error)) => stopped.push((work, error)),
                // The view of an unparked stream is already in the report, as written.
                Ok(NextStep::UpToDate { unparked }) => report.duplicates += usize::from(!unparked),
                Ok(NextStep::Skip) => report.skipped += 1,
                Err(error) => report.fail(stream, Arc::new(error)),
            }
        }
        (pending, stopped)
    }

    /// Plans and folds one stream. Returns the next step.
    async fn fold(
        &self,
        work: Work<'a, P::View>,
        known: &KnownGenerations,
    ) -> Result<NextStep<'a, P::View>, StoreError> {
        let model = &self.handler.model;
        let generations = work.maintained(model, |table| known.get(table).copied().unwrap_or(Generations::FIRST));
        let FoldPlan { from, view, commits, fills_gap } = match work.plan(model, &generations)? {
            Plan::UpToDate => return Ok(NextStep::UpToDate { unparked: work.unparked }),
            Plan::Skip => return Ok(NextStep::Skip),
            Plan::Fold(plan) => plan,
        };
        let mut before = work.bookkeeping();
        let Continuation { after, commits, corrupt } = match commits {
            Some(commits) => Continuation { after: from, commits, corrupt: None },
            None => {
                let loaded = self.events.load_after(&work.request.stream, from).await?;
                if loaded.after == Position::START && loaded.corrupt.is_none() {
                    // A stream that was restored may end before its tallies. Its next commits must be counted.
                    before.limit_counted_to(loaded.commits.last().map_or(Version::NONE, |last| last.version));
                }
                loaded
            }
        };
        let view = view.filter(|_| after == from);
        let folded = fold(model, &before, &generations, after, view, commits);
        let stored = work.stored.is_some().then(|| work.stored_version());
        Ok(match FoldResult::new(folded, corrupt, stored) {
            FoldResult::UpToDate => NextStep::UpToDate { unparked: work.unparked },
            FoldResult::Park(error) => NextStep::Park(work, error),
            FoldResult::Remove(folded) => {
                NextStep::Write(self.pending(work, &before, &generations, &folded, WritePart::Removal)?)
            }
            FoldResult::Write { folded, stopped } => {
                let commits = after.version.next().get()..=folded.position.version.get();
                let part = WritePart::View { commits, fills_gap, stopped };
                NextStep::Write(self.pending(work, &before, &generations, &folded, part)?)
            }
        })
    }

    /// Builds the write of the folded view, or of its next instalment if the view does not fit into one transaction.
    fn pending(
        &self,
        work: Work<'a, P::View>,
        before: &Bookkeeping,
        generations: &MaintainedGenerations,
        folded: &Folded<P::View>,
        part: WritePart<P::View>,
    ) -> Result<PendingView<'a, P::View>, StoreError> {
        let key = work.request.stream.key();
        let after = before.after(&self.handler.model, generations, folded);
        let mut item = views::encode::<P>(key, folded.position, folded.view.as_ref(), &after)?;
        if let WritePart::View { stopped: Some(error), .. } = &part {
            let mark = self.handler.parked_mark(&work, folded.position.version, error)?;
            item.extend([(PARKED.to_owned(), mark), (PARKED_IN.to_owned(), text(P::NAME))]);
        }
        let steps = steps::<P>(key, before, &after, folded)?;
        let bytes = item::size(&item);
        if fitting(&steps, bytes) < steps.len() {
            let (write, stored) = self.handler.instalment(&work, steps)?;
            let part = WritePart::Instalment(Box::new(stored));
            return Ok(PendingView { work, write, part, records: Vec::new() });
        }
        let changes = Changes::of(steps);
        let bytes = bytes + changes.bytes();
        let action = match part {
            WritePart::Removal => ViewAction::Delete(views::key::<P>(key)),
            _ => ViewAction::Put(item),
        };
        let write = ViewWrite { action, bytes, revision: work.revision(P::KEY), changes };
        Ok(PendingView { work, write, part, records: folded.published.clone() })
    }

    /// Writes the views. Views that change a table beside them share transactions with these changes. Returns the
    /// streams to fold again.
    async fn write_all(
        &self,
        pending: Vec<PendingView<'a, P::View>>,
        report: &mut CatchUpReport,
    ) -> Vec<Work<'a, P::View>> {
        // A view that changes nothing beside it needs no transaction, and a single put costs half as much.
        let (without_changes, with_changes): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|view| view.write.changes.is_empty());
        let puts = without_changes.into_iter().map(|view| vec![view]).collect();
        let transactions = pack(with_changes, PendingView::bytes_and_changes);
        let mut to_refold = Vec::new();
        // Concurrent transactions would collide in the rows of the counters.
        for (chunks, limit) in [(transactions, 1), (puts, CONCURRENCY)] {
            let writers = chunks.into_iter().map(|chunk| ChunkWriter::new(self.handler, chunk).run()).collect();
            for writer in concurrently(limit, writers).await {
                to_refold.extend(writer.to_refold);
                report.add(writer.report);
            }
        }
        to_refold
    }
}

fn with_stored_views<'a, V: Clone>(
    requests: Vec<&'a CatchUpRequest>,
    mut stored: BTreeMap<String, views::StoredView<V>>,
) -> impl Iterator<Item = Work<'a, V>> {
    requests.into_iter().map(move |request| Work::new(request, stored.remove(request.stream.key())))
}
