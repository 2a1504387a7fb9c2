//! Catching up: one projection, many streams. The one code path of projector, redrive and rebuild.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use cqrs::{Commit, Projection, StoredCommit, StreamId, Sums, Version};
use futures_util::{StreamExt, stream};

use super::{
    Doorbell, Report,
    chunk::{Weighed, pack},
    write::Verdict,
};
use crate::{
    EventStore, Failure, SumsTable, Views,
    event_store::decode,
    item::{self, Item},
    views::{self, Content, Stamp, StoredView},
};

/// How many streams are read, or single views written, at once.
const AT_ONCE: usize = 16;
/// How often a write that collides with others is sent.
const TRIES: u32 = 20;

/// One projection: its views, and the rollup over them if there is one.
pub(super) struct Keeper<P: Projection> {
    pub(super) views: Views<P>,
    pub(super) rollup: Option<Counting<P::View>>,
}

/// A rollup: where its sums are kept, and what a view adds to them.
pub(super) struct Counting<V> {
    pub(super) sums: SumsTable,
    pub(super) contribution: fn(&V) -> Sums,
}

/// A stream that is not at its head yet, and the view to go on from.
struct Task<'a, V> {
    bell: &'a Doorbell,
    stored: Option<StoredView<V>>,
}

/// A view that was folded, ready to be written where `task` found its predecessor.
pub(super) struct Write<'a, V> {
    task: Task<'a, V>,
    /// The item to be written.
    pub(super) item: Item,
    bytes: usize,
    /// The difference that the view makes to the sums.
    delta: Sums,
    /// How many commits were folded.
    commits: usize,
    healed: bool,
}

impl<V> Write<'_, V> {
    /// The stamp of the stored view that this one was folded from; `None` if there was none.
    pub(super) fn folded_from(&self) -> Option<&Stamp> {
        self.task.stored.as_ref().map(|stored| &stored.stamp)
    }
}

impl<V> Weighed for Write<'_, V> {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn delta(&self) -> &Sums {
        &self.delta
    }
}

/// One run over a batch of streams.
pub(super) struct CatchUp<'a, P: Projection> {
    pub(super) keeper: &'a Keeper<P>,
    events: &'a EventStore,
}

impl<'a, P: Projection> CatchUp<'a, P> {
    pub(super) fn new(keeper: &'a Keeper<P>, events: &'a EventStore) -> Self {
        Self { keeper, events }
    }

    /// Reads the views, folds, writes; and again for those streams whose view has changed in the meantime.
    pub(super) async fn run(self, bells: &[&'a Doorbell]) -> Report {
        let mut report = Report::default();
        let mut tasks = self.begin(bells, &mut report).await;
        while !tasks.is_empty() {
            let fold = |task: Task<'a, P::View>| async {
                let stream = &task.bell.stream;
                (stream, self.fold(task).await)
            };
            let folded = at_once(AT_ONCE, tasks.into_iter().map(fold).collect()).await;
            let mut writes = Vec::with_capacity(folded.len());
            for (stream, outcome) in folded {
                match outcome {
                    Ok(Some(write)) => writes.push(write),
                    Ok(None) => report.duplicates += 1,
                    Err(failure) => drop(report.failed.insert(stream.clone(), Arc::new(failure))),
                }
            }
            tasks = self.write(writes, &mut report).await;
        }
        report
    }

    /// The stored views to go on from. Streams that begin in hand are taken to have none: if that is wrong, the write's
    /// condition says so.
    async fn begin(&self, bells: &[&'a Doorbell], report: &mut Report) -> Vec<Task<'a, P::View>> {
        let begins = |bell: &Doorbell| bell.commits.contains_key(&Version::FIRST);
        let keys: Vec<&str> = bells.iter().filter(|bell| !begins(bell)).map(|bell| bell.stream.key()).collect();
        let (mut stored, unread) = match self.keeper.views.get_many(&keys).await {
            Ok(stored) => (stored, None),
            Err(failure) => (BTreeMap::new(), Some(Arc::new(failure))),
        };
        let mut tasks = Vec::with_capacity(bells.len());
        for bell in bells {
            match &unread {
                Some(failure) if !begins(bell) => {
                    report.failed.insert(bell.stream.clone(), Arc::clone(failure));
                }
                Some(_) | None => tasks.push(Task { bell, stored: stored.remove(bell.stream.key()) }),
            }
        }
        tasks
    }

    /// The view at the head of the task's stream; `None` if the stored one is as far as the bell says.
    async fn fold(&self, task: Task<'a, P::View>) -> Result<Option<Write<'a, P::View>>, Failure> {
        let Task { bell, stored } = task;
        let (from, view) = match &stored {
            None => (Version::NONE, None),
            Some(stored) if stored.shape > P::SHAPE => {
                return Err(Failure::NewerShape { projection: P::NAME, found: stored.shape, known: P::SHAPE });
            }
            Some(StoredView { version, content: Content::Current(view), .. }) => (*version, Some(view.clone())),
            Some(StoredView { version, content: Content::Ended, .. }) => (*version, None),
            Some(StoredView { content: Content::Foreign, .. }) => (Version::NONE, None),
        };
        if bell.head.is_some_and(|head| head <= from) {
            return Ok(None);
        }
        // What is folded anew has to come at least as far as the view that it replaces.
        let reached = stored.as_ref().map_or(Version::NONE, |stored| stored.version);
        let in_hand = commits_in_hand(bell, from).filter(|_| bell.head >= Some(reached));
        let healed = in_hand.is_none() && bell.head.is_some();
        let commits = match in_hand {
            Some(commits) => commits,
            None => self.events.load_after(&bell.stream, from).await?,
        };
        let Some(version) = commits.last().map(|commit| commit.version) else { return Ok(None) };
        let number = commits.len();

        let folded = catch_unwind(AssertUnwindSafe(|| self.fold_and_count(&bell.stream, version, view, commits)));
        let (item, counted) = folded.unwrap_or_else(|_| {
            let reason = format!("the code of {} panicked", P::NAME);
            Err(Failure::Corrupt { stream: bell.stream.clone(), version, reason })
        })?;
        let before = stored.as_ref().map(|stored| stored.counted.clone()).unwrap_or_default();
        let bytes = item::size(&item);
        let delta = counted - &before;
        Ok(Some(Write { task: Task { bell, stored }, item, bytes, delta, commits: number, healed }))
    }

    /// All that is the domain's own code: the item of the view after `commits`, and what it adds to the sums.
    fn fold_and_count(
        &self,
        stream: &StreamId,
        version: Version,
        view: Option<P::View>,
        commits: Vec<StoredCommit>,
    ) -> Result<(Item, Sums), Failure> {
        let commits: Vec<Commit<P::Event>> = commits.into_iter().map(decode).collect::<Result<_, _>>()?;
        let view = P::fold(view, &commits);
        let counted = match (&self.keeper.rollup, &view) {
            (Some(counting), Some(view)) => (counting.contribution)(view),
            (Some(_) | None, _) => Sums::default(),
        };
        Ok((views::encode::<P>(stream.key(), version, view.as_ref(), &counted)?, counted))
    }

    /// Writes the views, many to a transaction where there is a rollup, and gives back those to be folded again.
    async fn write(&self, writes: Vec<Write<'a, P::View>>, report: &mut Report) -> Vec<Task<'a, P::View>> {
        // Without a rollup nothing binds the views together, and a single put costs half of a transaction.
        let (chunks, limit) = match self.keeper.rollup {
            Some(_) => (pack(writes), 1),
            None => (writes.into_iter().map(|write| vec![write]).collect(), AT_ONCE),
        };
        let writing = chunks.into_iter().map(|chunk| self.write_chunk(chunk)).collect();
        let mut again = Vec::new();
        for (tasks, chunk_report) in at_once(limit, writing).await {
            again.extend(tasks);
            report.add(chunk_report);
        }
        again
    }

    /// Writes one chunk, until each of its views is written, to be folded again, or failed.
    async fn write_chunk(&self, mut chunk: Vec<Write<'a, P::View>>) -> (Vec<Task<'a, P::View>>, Report) {
        let (mut again, mut report) = (Vec::new(), Report::default());
        let mut attempt = 0;
        while !chunk.is_empty() {
            match self.keeper.send(&chunk).await {
                Verdict::Written => {
                    report.projected += chunk.len();
                    report.commits += chunk.iter().map(|write| write.commits).sum::<usize>();
                    report.healed += chunk.iter().filter(|write| write.healed).count();
                    chunk.clear();
                }
                Verdict::Superseded(mut by) => {
                    let mut rest = Vec::with_capacity(chunk.len());
                    for (place, write) in chunk.into_iter().enumerate() {
                        match by.remove(&place) {
                            Some(stored) => again.push(Task { stored, ..write.task }),
                            None => rest.push(write),
                        }
                    }
                    chunk = rest;
                }
                Verdict::Busy(failure) => {
                    attempt += 1;
                    if attempt == TRIES || self.keeper.views.dynamo().in_time().is_err() {
                        report.fail(chunk.drain(..), failure);
                    } else {
                        self.keeper.views.dynamo().back_off(attempt).await;
                    }
                }
                Verdict::Unacceptable(_) if chunk.len() > 1 => {
                    let half = chunk.split_off(chunk.len() / 2);
                    for half in [chunk, half] {
                        let (tasks, half_report) = Box::pin(self.write_chunk(half)).await;
                        again.extend(tasks);
                        report.add(half_report);
                    }
                    return (again, report);
                }
                Verdict::Unacceptable(failure) | Verdict::Failed(failure) => report.fail(chunk.drain(..), failure),
            }
        }
        (again, report)
    }
}

impl Report {
    fn fail<'a, V: 'a>(&mut self, writes: impl Iterator<Item = Write<'a, V>>, failure: Failure) {
        let failure = Arc::new(failure);
        self.failed.extend(writes.map(|write| (write.task.bell.stream.clone(), Arc::clone(&failure))));
    }
}

/// Waits for all of them, `limit` at once; the results are in their order.
async fn at_once<F: Future>(limit: usize, futures: Vec<F>) -> Vec<F::Output> {
    stream::iter(futures).buffered(limit).collect().await
}

/// The commits after `from` if the bell brings them all along; `None` if one is missing, or the head is not known.
fn commits_in_hand(bell: &Doorbell, from: Version) -> Option<Vec<StoredCommit>> {
    let head = bell.head?;
    (from.next().get()..=head.get()).map(|version| bell.commits.get(&Version::new(version)).cloned()).collect()
}
