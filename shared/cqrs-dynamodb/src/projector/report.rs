//! The result of catching up.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
};

use cqrs::StreamId;

use crate::StoreError;

/// The result of catching streams up, summed over all projections.
#[derive(Debug, Default)]
pub struct CatchUpReport {
    pub views_written: usize,
    /// Views that were removed, because their stream has no commits: the events table was restored to an earlier time.
    pub views_removed: usize,
    /// The versions of the commits that were folded into the written views.
    commits: BTreeMap<StreamId, BTreeSet<u64>>,
    /// Public events that were sent. A redelivery may send an event again.
    pub events_published: usize,
    /// Views that had already reached the requested version.
    pub duplicates: usize,
    /// Views whose commits were read from the event store, because the request did not have all of them: a commit
    /// arrived before its predecessor. A view of an older schema version, which is folded anew, fills no gap.
    pub gaps_filled: usize,
    /// Requests for streams that no projection handles.
    pub unhandled: usize,
    /// Views that were skipped, because their stream is parked.
    pub skipped: usize,
    /// Streams that at least one projection has parked now, with the reason.
    pub parked: BTreeMap<StreamId, Arc<StoreError>>,
    /// Streams that at least one projection has neither caught up nor parked, with the error. Every other stream is
    /// caught up or parked in all projections.
    pub failed: BTreeMap<StreamId, Arc<StoreError>>,
}

impl CatchUpReport {
    /// Returns the number of commits that were folded into the written views. A commit of several projections counts
    /// once.
    pub fn commits(&self) -> usize {
        self.commits.values().map(BTreeSet::len).sum()
    }

    pub(super) fn add(&mut self, other: CatchUpReport) {
        self.views_written += other.views_written;
        self.views_removed += other.views_removed;
        for (stream, versions) in other.commits {
            self.commits.entry(stream).or_default().extend(versions);
        }
        self.events_published += other.events_published;
        self.duplicates += other.duplicates;
        self.gaps_filled += other.gaps_filled;
        self.unhandled += other.unhandled;
        self.skipped += other.skipped;
        for (stream, error) in other.parked {
            self.parked.entry(stream).or_insert(error);
        }
        for (stream, error) in other.failed {
            self.failed.entry(stream).or_insert(error);
        }
    }

    pub(super) fn view_written(&mut self, stream: &StreamId, commits: RangeInclusive<u64>, fills_gap: bool) {
        self.views_written += 1;
        self.commits.entry(stream.clone()).or_default().extend(commits);
        self.gaps_filled += usize::from(fills_gap);
    }

    pub(super) fn park(&mut self, stream: &StreamId, error: StoreError) {
        self.parked.insert(stream.clone(), Arc::new(error));
    }

    pub(super) fn fail(&mut self, stream: &StreamId, error: Arc<StoreError>) {
        self.failed.insert(stream.clone(), error);
    }
}
