//! Catching up: one projection, many streams. The one code path of projector, redrive and rebuild.

use std::{collections::BTreeMap, sync::Arc};

use cqrs::{Counters, Projection, StoredCommit, Version};
use futures_util::{StreamExt, stream};

use super::{
    CatchUpReport, CatchUpRequest,
    chunk::{Weighed, pack},
    park::ParkOutcome,
    write::WriteOutcome,
};
use crate::{
    CountersTable, EventStore, StoreError, Views,
    fold::fold,
    item::{self, Item, text},
    parked::{PARKED, PARKED_IN},
    views::{self, Content, Revision, StoredView},
};

/// How many streams are read, or single views written, at once.
const AT_ONCE: usize = 16;
/// How often a write that collides with others is sent.
const TRIES: u32 = 20;

/// One projection: its views, and the rollup over them if there is one.
pub(super) struct ProjectionHandler<P: Projection> {
    pub(super) views: Views<P>,
    pub(super) rollup: Option<RollupWriter<P::View>>,
}

/// A rollup: where its counters are kept, and what a view adds to them.
pub(super) struct RollupWriter<V> {
    pub(super) counters: CountersTable,
    pub(super) contribution: fn(&V) -> Counters,
}

impl<P: Projection> ProjectionHandler<P> {
    /// What a view adds to the counters.
    pub(super) fn contribution(&self, view: &P::View) -> Counters {
        self.rollup.as_ref().map(|rollup| (rollup.contribution)(view)).unwrap_or_default()
    }
}

/// A stream that is not at its head yet, and the view to go on from.
struct Work<'a, V> {
    request: &'a CatchUpRequest,
    stored: Option<StoredView<V>>,
    /// Whether the stream was parked until its view was written just now.
    set_free: bool,
}

/// What there is to do for a stream.
enum Plan<'a, V> {
    /// Nothing: the view is as far as the request says, or was set free, and nothing has come since.
    Nothing { set_free: bool },
    /// To write the view.
    Write(Write<'a, V>),
    /// To park the stream: not one commit more can be folded.
    Park(Work<'a, V>, StoreError),
    /// To leave it alone: it is parked.
    Wait,
}

/// A view that was folded, ready to be written where `work` found its predecessor.
pub(super) struct Write<'a, V> {
    work: Work<'a, V>,
    /// The item to be written.
    pub(super) item: Item,
    bytes: usize,
    /// The difference that the view makes to the counters.
    delta: Counters,
    /// How many commits were folded.
    commits: usize,
    gaps_filled: bool,
    /// Why it was not folded to the head of its stream.
    stopped: Option<StoreError>,
}

impl<V> Write<'_, V> {
    /// The revision of the stored view that this one was folded from; `None` if there was none.
    pub(super) fn folded_from(&self) -> Option<&Revision> {
        self.work.stored.as_ref().map(|stored| &stored.revision)
    }
}

impl<V> Weighed for Write<'_, V> {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn delta(&self) -> &Counters {
        &self.delta
    }
}

/// One run over a batch of streams.
pub(super) struct CatchUp<'a, P: Projection> {
    pub(super) handler: &'a ProjectionHandler<P>,
    events: &'a EventStore,
}

impl<'a, P: Projection> CatchUp<'a, P> {
    pub(super) fn new(handler: &'a ProjectionHandler<P>, events: &'a EventStore) -> Self {
        Self { handler, events }
    }

    /// Reads the views, folds, writes; and again for those streams whose view has changed in the meantime.
    pub(super) async fn run(self, requests: &[&'a CatchUpRequest]) -> CatchUpReport {
        let mut report = CatchUpReport::default();
        let mut works = self.begin(requests, &mut report).await;
        while !works.is_empty() {
            let fold = |work: Work<'a, P::View>| async {
                let stream = &work.request.stream;
                (stream, self.fold(work).await)
            };
            let folded = at_once(AT_ONCE, works.into_iter().map(fold).collect()).await;
            let (mut writes, mut stopped) = (Vec::with_capacity(folded.len()), Vec::new());
            for (stream, next) in folded {
                match next {
                    Ok(Plan::Write(write)) => writes.push(write),
                    Ok(Plan::Nothing { set_free }) => report.duplicates += usize::from(!set_free),
                    Ok(Plan::Wait) => report.skipped += 1,
                    Ok(Plan::Park(work, failure)) => stopped.push((work, failure)),
                    Err(failure) => drop(report.failed.insert(stream.clone(), Arc::new(failure))),
                }
            }
            works = self.park_all(stopped, &mut report).await;
            works.extend(self.write(writes, &mut report).await);
        }
        report
    }

    /// The stored views to go on from. Streams that begin in hand are taken to have none: if that is wrong, the write's
    /// condition says so.
    async fn begin(&self, requests: &[&'a CatchUpRequest], report: &mut CatchUpReport) -> Vec<Work<'a, P::View>> {
        let begins = |request: &CatchUpRequest| request.commits.contains_key(&Version::FIRST);
        let keys: Vec<&str> =
            requests.iter().filter(|request| !begins(request)).map(|request| request.stream.key()).collect();
        let (mut stored, unread) = match self.handler.views.get_many(&keys).await {
            Ok(stored) => (stored, None),
            Err(failure) => (BTreeMap::new(), Some(Arc::new(failure))),
        };
        let mut works = Vec::with_capacity(requests.len());
        for request in requests {
            match &unread {
                Some(failure) if !begins(request) => {
                    report.failed.insert(request.stream.clone(), Arc::clone(failure));
                }
                Some(_) | None => {
                    works.push(Work { request, stored: stored.remove(request.stream.key()), set_free: false });
                }
            }
        }
        works
    }

    /// What there is to do for the work's stream.
    async fn fold(&self, work: Work<'a, P::View>) -> Result<Plan<'a, P::View>, StoreError> {
        let Work { request, stored, set_free } = work;
        let (from, view) = match &stored {
            None => (Version::NONE, None),
            Some(stored) if stored.schema > P::SCHEMA => {
                return Err(StoreError::NewerSchema { projection: P::NAME, found: stored.schema, known: P::SCHEMA });
            }
            Some(StoredView { version, content: Content::Current(view), .. }) => (*version, Some(view.clone())),
            Some(StoredView { version, content: Content::Deleted, .. }) => (*version, None),
            Some(StoredView { content: Content::Stale, .. }) => (Version::NONE, None),
        };
        // What came while it was parked, no request rings for again: how far it goes, the write table says.
        let head = request.head.filter(|_| !set_free);
        if head.is_some_and(|head| head <= from) {
            return Ok(Plan::Nothing { set_free });
        }
        let parked = stored.as_ref().and_then(|stored| stored.parked.as_ref());
        if parked.is_some_and(|parked| parked.holds_back(P::SCHEMA)) && !request.include_parked {
            return Ok(Plan::Wait);
        }
        // What is folded anew has to come at least as far as the view that it replaces.
        let reached = stored.as_ref().map_or(Version::NONE, |stored| stored.version);
        let in_hand = commits_in_hand(request, from, head).filter(|_| head >= Some(reached));
        let gaps_filled = in_hand.is_none() && head.is_some();
        let (commits, corrupt) = match in_hand {
            Some(commits) => (commits, None),
            None => self.events.load_readable(&request.stream, from).await?,
        };
        let folded = fold::<P>(from, view, commits, |view| self.handler.contribution(view));
        let stopped = folded.stopped.or(corrupt);
        let work = Work { request, stored, set_free };
        match stopped {
            None if folded.commits == 0 => Ok(Plan::Nothing { set_free }),
            Some(failure) if folded.commits == 0 || folded.version < reached => Ok(Plan::Park(work, failure)),
            stopped => {
                let stored_contribution =
                    work.stored.as_ref().map(|stored| stored.contribution.clone()).unwrap_or_default();
                let mut item = views::encode::<P>(
                    request.stream.key(),
                    folded.version,
                    folded.view.as_ref(),
                    &folded.contribution,
                )?;
                if let Some(failure) = &stopped {
                    let mark = self.handler.mark(work.stored.as_ref(), folded.version, failure)?;
                    item.extend([(PARKED.to_owned(), mark), (PARKED_IN.to_owned(), text(P::NAME))]);
                }
                let (bytes, delta) = (item::size(&item), folded.contribution - &stored_contribution);
                Ok(Plan::Write(Write { work, item, bytes, delta, commits: folded.commits, gaps_filled, stopped }))
            }
        }
    }

    /// Writes the views, many to a transaction with the counters that they change, and gives back those to be folded again.
    async fn write(&self, writes: Vec<Write<'a, P::View>>, report: &mut CatchUpReport) -> Vec<Work<'a, P::View>> {
        // A view that changes no sum is bound to no other, and a single put costs half of a transaction.
        let (alone, bound): (Vec<_>, Vec<_>) = writes.into_iter().partition(|write| write.delta.is_zero());
        let alone = alone.into_iter().map(|write| vec![write]).collect();
        let mut again = Vec::new();
        // One transaction after the other: they would collide in the rows of the counters.
        for (chunks, limit) in [(pack(bound), 1), (alone, AT_ONCE)] {
            let writing = chunks.into_iter().map(|chunk| self.write_chunk(chunk)).collect();
            for (works, chunk_report) in at_once(limit, writing).await {
                again.extend(works);
                report.add(chunk_report);
            }
        }
        again
    }

    /// Parks streams, and gives back those whose view has changed in the meantime.
    async fn park_all(
        &self,
        stopped: Vec<(Work<'a, P::View>, StoreError)>,
        report: &mut CatchUpReport,
    ) -> Vec<Work<'a, P::View>> {
        let park = |(work, failure): (Work<'a, P::View>, StoreError)| async {
            let outcome = self.handler.park(work.request.stream.key(), work.stored.as_ref(), &failure).await;
            (work, failure, outcome)
        };
        let mut again = Vec::new();
        for (work, failure, outcome) in at_once(AT_ONCE, stopped.into_iter().map(park).collect()).await {
            let stream = work.request.stream.clone();
            match outcome {
                Ok(ParkOutcome::Done) => drop(report.parked.insert(stream, Arc::new(failure))),
                Ok(ParkOutcome::Superseded(stored)) => {
                    again.push(Work { stored: stored.map(|stored| *stored), ..work })
                }
                Err(failure) => drop(report.failed.insert(stream, Arc::new(failure))),
            }
        }
        again
    }

    /// Writes one chunk, until each of its views is written, parked, to be folded again, or failed.
    async fn write_chunk(&self, mut chunk: Vec<Write<'a, P::View>>) -> (Vec<Work<'a, P::View>>, CatchUpReport) {
        let (mut again, mut report) = (Vec::new(), CatchUpReport::default());
        let mut attempt = 0;
        while !chunk.is_empty() {
            match self.handler.send(&chunk).await {
                WriteOutcome::Written => {
                    for Write { work: Work { request, stored, .. }, item, commits, gaps_filled, stopped, .. } in
                        chunk.drain(..)
                    {
                        report.views_written += 1;
                        report.commits += commits;
                        report.gaps_filled += usize::from(gaps_filled);
                        if let Some(failure) = stopped {
                            report.parked.insert(request.stream.clone(), Arc::new(failure));
                        } else if stored.is_some_and(|stored| stored.parked.is_some()) {
                            // Records that found it parked are done with: what they brought is to be looked for.
                            again.push(Work { request, stored: Some(views::decode::<P>(item).1), set_free: true });
                        }
                    }
                }
                WriteOutcome::Superseded(mut by) => {
                    let mut rest = Vec::with_capacity(chunk.len());
                    for (place, write) in chunk.into_iter().enumerate() {
                        match by.remove(&place) {
                            Some(stored) => again.push(Work { stored, ..write.work }),
                            None => rest.push(write),
                        }
                    }
                    chunk = rest;
                }
                WriteOutcome::Busy(failure) => {
                    attempt += 1;
                    if attempt == TRIES || self.handler.views.dynamo().call_config().is_err() {
                        report.fail(chunk.drain(..), failure);
                    } else {
                        self.handler.views.dynamo().back_off(attempt).await;
                    }
                }
                WriteOutcome::Unacceptable(_) if chunk.len() > 1 => {
                    let half = chunk.split_off(chunk.len() / 2);
                    for half in [chunk, half] {
                        let (works, half_report) = Box::pin(self.write_chunk(half)).await;
                        again.extend(works);
                        report.add(half_report);
                    }
                    return (again, report);
                }
                WriteOutcome::Unacceptable(failure) => {
                    let stopped = chunk.pop().map(|write| (write.work, failure)).into_iter();
                    again.extend(self.park_all(stopped.collect(), &mut report).await);
                }
                WriteOutcome::Failed(failure) => report.fail(chunk.drain(..), failure),
            }
        }
        (again, report)
    }
}

impl CatchUpReport {
    fn fail<'a, V: 'a>(&mut self, writes: impl Iterator<Item = Write<'a, V>>, failure: StoreError) {
        let failure = Arc::new(failure);
        self.failed.extend(writes.map(|write| (write.work.request.stream.clone(), Arc::clone(&failure))));
    }
}

/// Waits for all of them, `limit` at once; the results are in their order.
async fn at_once<F: Future>(limit: usize, futures: Vec<F>) -> Vec<F::Output> {
    stream::iter(futures).buffered(limit).collect().await
}

/// The commits after `from` if the request brings them all along; `None` if one is missing, or the head is not known.
fn commits_in_hand(request: &CatchUpRequest, from: Version, head: Option<Version>) -> Option<Vec<StoredCommit>> {
    (from.next().get()..=head?.get()).map(|version| request.commits.get(&Version::new(version)).cloned()).collect()
}
