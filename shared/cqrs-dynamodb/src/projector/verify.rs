//! The comparison of stored views with the folds of their streams, byte for byte, and of the rows beside them. Writes
//! nothing.
//!
//! Verification does not find rows that no view has: that would need a scan of the whole table. The projector leaves no
//! such row behind, because a row and the digest in its view's item change in one transaction.

use std::collections::BTreeMap;

use cqrs::{Counters, Projection, StoredCommit, StreamId, Version};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::handler::{CONCURRENCY, ProjectionHandler};
use crate::{
    Bookkeeping, EventStore, StoreError,
    fold::{Beside, counted, fold},
    item::Item,
    parked::{PARKED, PARKED_IN},
    revision::Revision,
    rows,
    views::{self, INSTALMENTS, StoredView},
};

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
    /// The additions of all streams to each table of counters: the stored contributions and the counts of the tallies.
    #[serde(skip)]
    pub counters: BTreeMap<String, Counters>,
}

/// The defect of a stored view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewDefect {
    /// There is no view, and the stream has no readable commit.
    Missing,
    /// The view has another schema version than the code. A rebuild is due or running.
    OtherSchema,
    /// The version of the view is higher than that of its stream.
    Ahead,
    /// The view is not the fold of its stream, or a declared tally has not counted the stream.
    Different,
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

impl<P: Projection> ProjectionHandler<P> {
    /// Compares the views of these streams with the folds of the streams. Costs a read of each view and of its rows,
    /// and a query of each stream.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub(super) async fn verify(&self, events: &EventStore, streams: &[&StreamId]) -> Result<VerifiedViews, StoreError> {
        let keys: Vec<&str> = streams.iter().map(|stream| stream.key()).collect();
        let items = self.views.items(&keys).await?;
        let verify = |stream: &&StreamId| {
            let (stream, item) = ((*stream).clone(), items.get(stream.key()));
            async move { (self.verify_stream(events, &stream, item).await, stream) }
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
        items.values().for_each(|item| verified.add_counters(&Bookkeeping::of(item).contribution));
        Ok(verified)
    }

    /// Verifies the view of one stream. Also returns the counted events of the stream, by table of counters.
    async fn verify_stream(
        &self,
        events: &EventStore,
        stream: &StreamId,
        item: Option<&Item>,
    ) -> Result<(ViewStatus, BTreeMap<String, Counters>), StoreError> {
        let (commits, _) = events.load_valid(stream, Version::NONE).await?;
        let Some(item) = item else {
            // A new stream has no view for a moment. The caller compares the age of the first commit with its patience.
            let first = commits.first().map(|first| first.recorded_at);
            let status = first.map_or(ViewStatus::Defective(ViewDefect::Missing), ViewStatus::Behind);
            return Ok((status, BTreeMap::new()));
        };
        let stored = views::decode::<P>(item.clone());
        let counted = counted(&self.model, &stored.bookkeeping, &commits);
        let (status, beside) = self.verify_view(stream, item, stored, commits)?;
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
    ) -> Result<(ViewStatus, Option<Beside>), StoreError> {
        if stored.schema != P::SCHEMA {
            // A rebuild leaves the older view of a stream that this code cannot fold.
            let is_parked = stored.parked.is_some_and(|parked| parked.blocks(P::SCHEMA));
            let other_schema = ViewStatus::Defective(ViewDefect::OtherSchema);
            return Ok((if is_parked { ViewStatus::Parked } else { other_schema }, None));
        }
        // The next view is being written in instalments: only the bookkeeping is ahead of the view.
        let in_instalments = item.contains_key(INSTALMENTS);
        let missing = commits.iter().find(|commit| commit.version > stored.version);
        let missing = missing.or_else(|| commits.last().filter(|_| in_instalments));
        let missing_since = missing.map(|commit| commit.recorded_at);
        let folded_commits = commits.into_iter().take_while(|commit| commit.version <= stored.version).collect();
        let folded = fold(&self.model, &stored.bookkeeping, Version::NONE, None, folded_commits);
        if folded.version < stored.version {
            return Ok((ViewStatus::Defective(ViewDefect::Ahead), None));
        }
        let bookkeeping = stored.bookkeeping.after(&self.model, &folded);
        let mut expected = views::encode::<P>(stream.key(), folded.version, folded.view.as_ref(), &bookkeeping)?;
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
            let found = self.views.dynamo().get_items(table, keys).await?;
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
        let again = self.views.items(&[stream.key()]).await?;
        Ok(again.get(stream.key()).is_some_and(|again| Revision::of(again) == Revision::of(item)))
    }
}

impl VerifiedViews {
    /// Adds another result to this one.
    pub fn add(&mut self, other: Self) {
        self.views += other.views;
        self.defective.extend(other.defective);
        self.behind.extend(other.behind);
        self.parked += other.parked;
        self.add_counters(&other.counters);
    }

    fn add_counters(&mut self, counters: &BTreeMap<String, Counters>) {
        for (table, counters) in counters {
            *self.counters.entry(table.clone()).or_default() += counters;
        }
    }
}
