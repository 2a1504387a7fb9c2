//! The check of streams and their views: the hash chain of each stream, and the comparison of stored views with the
//! folds of their streams, byte for byte, and of the rows beside them. Writes nothing.
//!
//! Verification does not find rows that no view has: that would need a scan of the whole table. The projector leaves no
//! such row behind, because a row and the digest in its view's item change in one transaction.

use std::collections::BTreeMap;

use cqrs::{Counters, HeadsDigest, Position, Projection, StoredCommit, StreamId, Version};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    HandleProjection, Projector,
    handler::{CONCURRENCY, ProjectionHandler},
};
use crate::{
    Bookkeeping, InGeneration, StoreError,
    call::Consistency,
    event_store::Continuation,
    fold::{Beside, counted, fold},
    generations::MaintainedGenerations,
    item::Item,
    parked::{PARKED, PARKED_IN},
    revision::Revision,
    rows,
    views::{self, INSTALMENTS, StoredView},
};

/// The result of verifying streams and their views.
#[derive(Debug, Default)]
pub struct Verified {
    pub streams: VerifiedStreams,
    /// By the name of the projection.
    pub views: BTreeMap<&'static str, VerifiedViews>,
}

/// The result of verifying the hash chains of streams.
#[derive(Debug, Default, Serialize)]
pub struct VerifiedStreams {
    /// The number of verified streams.
    pub streams: usize,
    /// The streams with a commit that is missing, changed or replaced, with the version and the reason.
    pub corrupt: BTreeMap<StreamId, String>,
    /// The heads of all streams, as of the time that the caller passed in.
    pub heads: HeadsDigest,
}

/// The commits of a stream, up to the first one that is missing, changed or replaced.
pub(super) struct LoadedStream<'a> {
    stream: &'a StreamId,
    commits: Vec<StoredCommit>,
}

/// The items of views, by the key of the stream.
pub(super) type ViewItems = BTreeMap<String, Item>;

/// The result of verifying views.
#[derive(Debug, Default, Serialize)]
pub struct VerifiedViews {
    /// The number of verified views.
    pub views: usize,
    pub defective: BTreeMap<StreamId, ViewDefect>,
    /// Views that are correct as of their version, while the stream has later commits. Holds the time of the first
    /// missing commit.
    pub behind: BTreeMap<StreamId, Timestamp>,
    /// The number of views that are correct as of their version, and parked.
    pub parked: usize,
    /// The additions of all streams to each table of counters and generation: the stored contributions and the counts
    /// of the tallies.
    #[serde(skip)]
    pub counters: BTreeMap<InGeneration, Counters>,
    /// The number of views that are not counted in the generation that is being built.
    #[serde(skip)]
    pub not_built: usize,
}

/// The defect of a stored view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewDefect {
    /// There is no view, and the stream has no readable commit.
    Missing,
    /// There is a view, but its stream has no readable commit.
    NoStream,
    /// The view has another schema version than the code. A rebuild is due or running.
    OtherSchema,
    /// The version of the view is higher than that of its stream.
    Ahead,
    /// The stream has another commit at the version of the view.
    OtherHistory,
    /// The view is not the fold of its stream.
    Different,
    /// A declared rollup or tally has not counted the view in the served generation of its table.
    NotCounted,
    /// The view is correct, but one of its rows is missing.
    RowMissing,
    /// The view is correct, but one of its rows is different.
    RowDifferent,
}

enum ViewStatus {
    Correct,
    Defective(ViewDefect),
    /// The time of the first missing commit.
    Behind(Timestamp),
    Parked,
}

/// The number of streams whose commits are in memory at once.
const BATCH: usize = 100;

impl Projector {
    /// Checks the hash chains of these streams, and compares their views with their folds. The digest of the heads
    /// covers the commits that were recorded until `heads_at`. Writes nothing.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn verify(&self, streams: &[StreamId], heads_at: Timestamp) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        for batch in streams.chunks(BATCH) {
            // The views are read before the commits, so that no view is ahead of the commits that were read.
            let mut views = Vec::with_capacity(self.handlers.len());
            for handler in &self.handlers {
                let streams = batch.iter().filter(|stream| stream.category() == handler.category());
                let keys: Vec<&str> = streams.map(StreamId::key).collect();
                views.push((&**handler, handler.items(&keys).await?));
            }
            let loaded = self.load(batch, heads_at, &views, &mut verified.streams).await?;
            for (handler, items) in &views {
                let of_category = |loaded: &&LoadedStream<'_>| loaded.stream.category() == handler.category();
                let loaded: Vec<_> = loaded.iter().filter(of_category).collect();
                verified.views.entry(handler.name()).or_default().add(handler.verify(&loaded, items).await?);
            }
        }
        Ok(verified)
    }

    /// Loads the commits of the streams, and adds their hash chains to `verified`.
    async fn load<'a>(
        &self,
        streams: &'a [StreamId],
        heads_at: Timestamp,
        views: &[(&dyn HandleProjection, ViewItems)],
        verified: &mut VerifiedStreams,
    ) -> Result<Vec<LoadedStream<'a>>, StoreError> {
        let load = |stream: &'a StreamId| async move {
            let views = views.iter().filter(|(handler, _)| handler.category() == stream.category());
            let known: Vec<Position> =
                views.filter_map(|(_, items)| items.get(stream.key())).map(views::position).collect();
            (stream, self.events.load_all(stream, &known).await)
        };
        let loads: Vec<_> = streams.iter().map(load).collect();
        let mut loads = stream::iter(loads).buffered(CONCURRENCY);
        let mut loaded = Vec::with_capacity(streams.len());
        while let Some((stream, continuation)) = loads.next().await {
            let Continuation { commits, corrupt, .. } = continuation?;
            verified.streams += 1;
            if let Some(StoreError::Corrupt { version, reason, .. }) = corrupt {
                verified.corrupt.insert(stream.clone(), format!("version {version}: {reason}"));
            }
            let until = commits.iter().take_while(|commit| commit.recorded_at <= heads_at);
            until.last().and_then(|head| head.hash).iter().for_each(|hash| verified.heads.add_head(hash));
            loaded.push(LoadedStream { stream, commits });
        }
        Ok(loaded)
    }
}

impl<P: Projection> ProjectionHandler<P> {
    /// Compares the views of these streams with the folds of the streams. Costs a read of the rows of each view.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub(super) async fn verify(
        &self,
        streams: &[&LoadedStream<'_>],
        items: &ViewItems,
    ) -> Result<VerifiedViews, StoreError> {
        let known = self.known_generations().await?;
        let serving = MaintainedGenerations::only(&self.model, |table| Some(known.get(table)?.serving));
        let building = MaintainedGenerations::only(&self.model, |table| known.get(table)?.building);
        let serving = &serving;
        let verify = |loaded: &&LoadedStream<'_>| {
            let (stream, item) = (loaded.stream.clone(), items.get(loaded.stream.key()));
            let commits = loaded.commits.clone();
            async move { (self.verify_stream(&stream, item, commits, serving).await, stream) }
        };
        let views: Vec<_> = streams.iter().map(verify).collect();
        let mut verified = VerifiedViews { views: streams.len(), ..VerifiedViews::default() };
        let mut statuses = stream::iter(views).buffer_unordered(CONCURRENCY);
        while let Some((status, stream)) = statuses.next().await {
            let (status, counted) = status?;
            verified.add_counters(&counted);
            match status {
                ViewStatus::Correct => {}
                ViewStatus::Defective(defect) => drop(verified.defective.insert(stream, defect)),
                ViewStatus::Behind(since) => drop(verified.behind.insert(stream, since)),
                ViewStatus::Parked => verified.parked += 1,
            }
        }
        for item in items.values() {
            let (bookkeeping, version) = (Bookkeeping::of(item), views::position(item).version);
            verified.add_counters(&bookkeeping.contribution);
            // An item without a view contributes nothing: its stream is parked at the first commit.
            let is_built = version == Version::NONE || !bookkeeping.lacks(&self.model, &building, version);
            verified.not_built += usize::from(!is_built || item.contains_key(INSTALMENTS));
        }
        Ok(verified)
    }

    /// Verifies the view of one stream. Also returns the counted events of the stream, by table of counters.
    async fn verify_stream(
        &self,
        stream: &StreamId,
        item: Option<&Item>,
        commits: Vec<StoredCommit>,
        serving: &MaintainedGenerations,
    ) -> Result<(ViewStatus, BTreeMap<InGeneration, Counters>), StoreError> {
        let Some(item) = item else {
            // A new stream has no view for a moment. The caller compares the age of the first commit with its patience.
            let first = commits.first().map(|first| first.recorded_at);
            let status = first.map_or(ViewStatus::Defective(ViewDefect::Missing), ViewStatus::Behind);
            return Ok((status, BTreeMap::new()));
        };
        let stored = views::decode::<P>(item.clone());
        let counted = counted(&self.model, &stored.bookkeeping, &commits);
        let (status, beside) = self.verify_view(stream, item, stored, commits, serving)?;
        let status = match (beside, status) {
            (Some(beside), status) => self.verify_rows(stream, item, &beside).await?.unwrap_or(status),
            (None, status) => status,
        };
        Ok((status, counted))
    }

    /// Compares a view with the fold of its stream. Also returns the expected rows, if they can be compared.
    fn verify_view(
        &self,
        stream: &StreamId,
        item: &Item,
        stored: StoredView<P::View>,
        commits: Vec<StoredCommit>,
        serving: &MaintainedGenerations,
    ) -> Result<(ViewStatus, Option<Beside>), StoreError> {
        if stored.schema != P::SCHEMA {
            // A rebuild leaves the older view of a stream that this code cannot fold.
            let is_parked = stored.parked.is_some_and(|parked| parked.blocks(P::SCHEMA));
            let other_schema = ViewStatus::Defective(ViewDefect::OtherSchema);
            return Ok((if is_parked { ViewStatus::Parked } else { other_schema }, None));
        }
        // The next view is being written in instalments: only the bookkeeping is ahead of the view.
        let in_instalments = item.contains_key(INSTALMENTS);
        let position = stored.position;
        if commits.is_empty() && position != Position::START {
            return Ok((ViewStatus::Defective(ViewDefect::NoStream), None));
        }
        let missing = commits.iter().find(|commit| commit.version > position.version);
        let missing = missing.or_else(|| commits.last().filter(|_| in_instalments));
        let missing_since = missing.map(|commit| commit.recorded_at);
        let folded_commits = commits.into_iter().take_while(|commit| commit.version <= position.version).collect();
        let generations = MaintainedGenerations::stored(&self.model, &stored.bookkeeping);
        let folded = fold(&self.model, &stored.bookkeeping, &generations, Position::START, None, folded_commits);
        if folded.position.version < position.version {
            return Ok((ViewStatus::Defective(ViewDefect::Ahead), None));
        }
        if folded.position != position {
            return Ok((ViewStatus::Defective(ViewDefect::OtherHistory), None));
        }
        if position != Position::START && stored.bookkeeping.lacks(&self.model, serving, position.version) {
            return Ok((ViewStatus::Defective(ViewDefect::NotCounted), None));
        }
        let bookkeeping = stored.bookkeeping.after(&self.model, &generations, &folded);
        let mut expected = views::encode::<P>(stream.key(), folded.position, folded.view.as_ref(), &bookkeeping)?;
        let mut found = item.clone();
        found.retain(|name, _| ![PARKED, PARKED_IN].contains(&name.as_str()));
        if in_instalments {
            let ahead = |name: &str| Bookkeeping::ATTRIBUTES.contains(&name) || name == INSTALMENTS;
            [&mut expected, &mut found].into_iter().for_each(|item| item.retain(|name, _| !ahead(name)));
        }
        let status = match (found == expected, stored.parked, missing_since) {
            (false, ..) => return Ok((ViewStatus::Defective(ViewDefect::Different), None)),
            (true, Some(_), _) => ViewStatus::Parked,
            (true, None, Some(since)) => ViewStatus::Behind(since),
            (true, None, None) => ViewStatus::Correct,
        };
        Ok((status, Some(folded.beside).filter(|_| !in_instalments)))
    }

    /// Compares the rows of a view with the tables of rows. Returns the defect, if there is one.
    async fn verify_rows(
        &self,
        stream: &StreamId,
        item: &Item,
        beside: &Beside,
    ) -> Result<Option<ViewStatus>, StoreError> {
        for (name, table) in &self.rows {
            let Some(expected) = beside.rows.get(*name) else { continue };
            let keys: Vec<Item> = expected.keys().map(|key| rows::item_key(key, stream.key())).collect();
            let found = self.views.dynamo().get_items(table, keys, Consistency::Strong).await?;
            let found: BTreeMap<_, _> = found.iter().map(|row| (rows::position(row), row)).collect();
            let mut defect = None;
            for (key, row) in expected {
                let row = rows::encode::<P>(key, row, stream.key())?;
                match found.get(&rows::position(&row)) {
                    None => defect = Some(ViewDefect::RowMissing),
                    Some(found) if **found != row => defect = defect.or(Some(ViewDefect::RowDifferent)),
                    Some(_) => {}
                }
            }
            // The rows may be those of a later version that was written after the view was read.
            if defect.is_some() && self.is_unchanged(stream, item).await? {
                return Ok(defect.map(ViewStatus::Defective));
            }
        }
        Ok(None)
    }

    async fn is_unchanged(&self, stream: &StreamId, item: &Item) -> Result<bool, StoreError> {
        let again = self.views.items(&[stream.key()], Consistency::Strong).await?;
        Ok(again.get(stream.key()).is_some_and(|again| Revision::of(again) == Revision::of(item)))
    }
}

impl VerifiedStreams {
    /// Adds another result to this one.
    pub fn add(&mut self, other: Self) {
        self.streams += other.streams;
        self.corrupt.extend(other.corrupt);
        self.heads.add(&other.heads);
    }
}

impl VerifiedViews {
    /// Adds another result to this one.
    pub fn add(&mut self, other: Self) {
        self.views += other.views;
        self.defective.extend(other.defective);
        self.behind.extend(other.behind);
        self.parked += other.parked;
        self.not_built += other.not_built;
        self.add_counters(&other.counters);
    }

    fn add_counters(&mut self, counters: &BTreeMap<InGeneration, Counters>) {
        for (table, counters) in counters {
            *self.counters.entry(table.clone()).or_default() += counters;
        }
    }
}
