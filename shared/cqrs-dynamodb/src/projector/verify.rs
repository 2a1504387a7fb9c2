//! The comparison of stored views with the folds of their streams, byte for byte. Writes nothing.

use std::collections::BTreeMap;

use cqrs::{Counters, Projection, StreamId, Version};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::handler::{CONCURRENCY, ProjectionHandler};
use crate::{
    Bookkeeping, EventStore, StoreError,
    fold::fold,
    item::Item,
    parked::{PARKED, PARKED_IN},
    views,
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
    /// The sum of all stored contributions, by table of counters.
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
    /// The view is not the fold of its stream.
    Different,
}

enum ViewStatus {
    Correct,
    Defective(ViewDefect),
    /// The time of the first missing commit.
    Behind(Timestamp),
    Parked,
}

impl<P: Projection> ProjectionHandler<P> {
    /// Compares the views of these streams with the folds of the streams. Costs a read of each view and a query of each
    /// stream.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub(super) async fn verify(&self, events: &EventStore, streams: &[&StreamId]) -> Result<VerifiedViews, StoreError> {
        let keys: Vec<&str> = streams.iter().map(|stream| stream.key()).collect();
        let items = self.views.items(&keys).await?;
        let verify = |stream: &&StreamId| {
            let (stream, item) = ((*stream).clone(), items.get(stream.key()));
            async move { (self.verify_view(events, &stream, item).await, stream) }
        };
        let views: Vec<_> = streams.iter().map(verify).collect();
        let mut verified = VerifiedViews { views: streams.len(), ..VerifiedViews::default() };
        let mut statuses = stream::iter(views).buffer_unordered(CONCURRENCY);
        while let Some((status, stream)) = statuses.next().await {
            match status? {
                ViewStatus::Correct => {}
                ViewStatus::Defective(defect) => drop(verified.defective.insert(stream, defect)),
                ViewStatus::Behind(since) => drop(verified.behind.insert(stream, since)),
                ViewStatus::Parked => verified.parked += 1,
            }
        }
        items.values().for_each(|item| verified.add_counters(&Bookkeeping::of(item).contribution));
        Ok(verified)
    }

    async fn verify_view(
        &self,
        events: &EventStore,
        stream: &StreamId,
        item: Option<&Item>,
    ) -> Result<ViewStatus, StoreError> {
        let (commits, _) = events.load_valid(stream, Version::NONE).await?;
        let Some(item) = item else {
            // A new stream has no view for a moment. The caller compares the age of the first commit with its patience.
            let first = commits.first().map(|first| first.recorded_at);
            return Ok(first.map_or(ViewStatus::Defective(ViewDefect::Missing), ViewStatus::Behind));
        };
        let stored = views::decode::<P>(item.clone());
        if stored.schema != P::SCHEMA {
            // A rebuild leaves the older view of a stream that this code cannot fold.
            let is_parked = stored.parked.is_some_and(|parked| parked.blocks(P::SCHEMA));
            return Ok(if is_parked { ViewStatus::Parked } else { ViewStatus::Defective(ViewDefect::OtherSchema) });
        }
        let missing_since =
            commits.iter().find(|commit| commit.version > stored.version).map(|commit| commit.recorded_at);
        let folded_commits = commits.into_iter().take_while(|commit| commit.version <= stored.version).collect();
        let folded = fold(&self.model, Version::NONE, None, folded_commits);
        if folded.version < stored.version {
            return Ok(ViewStatus::Defective(ViewDefect::Ahead));
        }
        let bookkeeping = stored.bookkeeping.after(&self.model, folded.contribution);
        let expected = views::encode::<P>(stream.key(), folded.version, folded.view.as_ref(), &bookkeeping)?;
        let mut found = item.clone();
        found.retain(|name, _| ![PARKED, PARKED_IN].contains(&name.as_str()));
        Ok(match (found == expected, stored.parked, missing_since) {
            (false, ..) => ViewStatus::Defective(ViewDefect::Different),
            (true, Some(_), _) => ViewStatus::Parked,
            (true, None, Some(since)) => ViewStatus::Behind(since),
            (true, None, None) => ViewStatus::Correct,
        })
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
