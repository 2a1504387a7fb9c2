//! A request to catch one stream up.

use std::collections::BTreeMap;

use cqrs::{Position, StoredCommit, StreamId, Version};

/// A request to catch the views of one stream up.
#[derive(Clone, Debug)]
pub struct CatchUpRequest {
    pub stream: StreamId,
    /// A version that the stream has reached, or `None` if that is unknown.
    pub head: Option<Version>,
    /// Commits that the sender already has. They need not be read.
    pub commits: BTreeMap<Version, StoredCommit>,
    /// Retries the stream even if it is parked.
    pub include_parked: bool,
}

impl CatchUpRequest {
    /// Requests a catch-up to the head of the stream. All commits are read from the event store.
    pub fn new(stream: StreamId) -> Self {
        Self { stream, head: None, commits: BTreeMap::new(), include_parked: false }
    }

    /// Like [`new`](Self::new), but retries a parked stream.
    pub fn redrive(stream: StreamId) -> Self {
        Self { include_parked: true, ..Self::new(stream) }
    }

    /// Records that the stream has reached `version`, and keeps its commit if the sender has it.
    pub fn observe(&mut self, version: Version, commit: Option<StoredCommit>) {
        self.head = self.head.max(Some(version));
        self.commits.extend(commit.map(|commit| (version, commit)));
    }

    /// Returns the commits after `position` through the version `to`, or `None` if one of them is missing or does not
    /// continue its predecessor.
    pub(super) fn commits_between(&self, mut position: Position, to: Version) -> Option<Vec<StoredCommit>> {
        let versions = position.version.next().get()..=to.get();
        let mut commits = Vec::new();
        for version in versions {
            let commit = self.commits.get(&Version::new(version))?;
            position = position.after(commit).ok()?;
            commits.push(commit.clone());
        }
        Some(commits)
    }

    /// Returns whether the stream has reached `position` and the request needs no later commit.
    pub(super) fn ends_at(&self, position: Position) -> bool {
        self.head == Some(position.version)
            && self.commits.get(&position.version).is_some_and(|commit| commit.position() == position)
    }
}
