//! Holds stored views against what their streams fold to, byte for byte. Nothing is written.

use std::collections::BTreeMap;

use cqrs::{Counters, Projection, StreamId, Version};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::catch_up::ProjectionHandler;
use crate::{
    EventStore, StoreError,
    fold::fold,
    item::{Item, to_counters},
    parked::{PARKED, PARKED_IN},
    views::{self, CONTRIBUTION},
};

/// How many streams are read at once.
const AT_ONCE: usize = 16;

/// What was found of some views.
#[derive(Debug, Default, Serialize)]
pub struct VerifiedViews {
    /// Views that were looked at.
    pub views: usize,
    /// Those that are not what their stream folds to, and in what.
    pub defective: BTreeMap<StreamId, ViewDefect>,
    /// Those that are right, and whose stream has gone on since: when the first commit that they lack was recorded.
    pub behind: BTreeMap<StreamId, Timestamp>,
    /// Those that are right as far as they go, and parked.
    pub parked: usize,
    /// The sum of their contributions.
    #[serde(skip)]
    pub contribution: Counters,
}

/// In what a stored view is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewDefect {
    /// There is none, and nothing of its stream can be read.
    Missing,
    /// It is of another schema than the code's: a rebuild is due, or under way.
    OtherSchema,
    /// It has come further than its stream.
    Ahead,
    /// It is not what its stream folds to.
    Different,
}

/// What was found of one view.
enum ViewStatus {
    Correct,
    Defective(ViewDefect),
    Behind(Timestamp),
    Parked,
}

impl<P: Projection> ProjectionHandler<P> {
    /// Holds the views of these streams against their folds: a read of each view and a query of each stream.
    ///
    /// # Errors
    /// [`StoreError`] of a read: nothing is said of any of them.
    pub(super) async fn verify(&self, events: &EventStore, streams: &[&StreamId]) -> Result<VerifiedViews, StoreError> {
        let keys: Vec<&str> = streams.iter().map(|stream| stream.key()).collect();
        let items = self.views.items(&keys).await?;
        let look = |stream: &&StreamId| {
            let (stream, item) = ((*stream).clone(), items.get(stream.key()));
            async move { (self.look(events, &stream, item).await, stream) }
        };
        let looks: Vec<_> = streams.iter().map(look).collect();
        let mut verified = VerifiedViews { views: streams.len(), ..VerifiedViews::default() };
        let mut found = stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some((finding, stream)) = found.next().await {
            match finding? {
                ViewStatus::Correct => {}
                ViewStatus::Defective(defect) => drop(verified.defective.insert(stream, defect)),
                ViewStatus::Behind(since) => drop(verified.behind.insert(stream, since)),
                ViewStatus::Parked => verified.parked += 1,
            }
        }
        items
            .values()
            .filter_map(|item| item.get(CONTRIBUTION))
            .for_each(|contribution| verified.contribution += &to_counters(contribution));
        Ok(verified)
    }

    async fn look(
        &self,
        events: &EventStore,
        stream: &StreamId,
        item: Option<&Item>,
    ) -> Result<ViewStatus, StoreError> {
        let (commits, _) = events.load_readable(stream, Version::NONE).await?;
        let Some(item) = item else {
            // A stream that has just begun has no view yet. How long is too long, the caller knows.
            return Ok(commits
                .first()
                .map_or(ViewStatus::Defective(ViewDefect::Missing), |first| ViewStatus::Behind(first.recorded_at)));
        };
        let (_, stored) = views::decode::<P>(item.clone());
        if stored.schema != P::SCHEMA {
            // Where its stream cannot be folded as far as the view had come, it is left as it was.
            let waits = stored.parked.is_some_and(|parked| parked.holds_back(P::SCHEMA));
            return Ok(if waits { ViewStatus::Parked } else { ViewStatus::Defective(ViewDefect::OtherSchema) });
        }
        let lacking = commits.iter().find(|commit| commit.version > stored.version).map(|commit| commit.recorded_at);
        let had = commits.into_iter().take_while(|commit| commit.version <= stored.version).collect();
        let folded = fold::<P>(Version::NONE, None, had, |view| self.contribution(view));
        if folded.version < stored.version {
            return Ok(ViewStatus::Defective(ViewDefect::Ahead));
        }
        let expected = views::encode::<P>(stream.key(), folded.version, folded.view.as_ref(), &folded.contribution)?;
        let mut found = item.clone();
        found.retain(|name, _| ![PARKED, PARKED_IN].contains(&name.as_str()));
        Ok(match (found == expected, stored.parked, lacking) {
            (false, ..) => ViewStatus::Defective(ViewDefect::Different),
            (true, Some(_), _) => ViewStatus::Parked,
            (true, None, Some(since)) => ViewStatus::Behind(since),
            (true, None, None) => ViewStatus::Correct,
        })
    }
}

impl VerifiedViews {
    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.views += other.views;
        self.defective.extend(other.defective);
        self.behind.extend(other.behind);
        self.parked += other.parked;
        self.contribution += &other.contribution;
    }
}
