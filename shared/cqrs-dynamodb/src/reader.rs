//! Reads of single views, with the caller's own writes folded in.

use cqrs::{Position, Projection, ReadModel, StreamId, Version};

use crate::{
    Bookkeeping, EventStore, StoreError, Views,
    event_store::Continuation,
    fold::{Folded, fold},
    generations::MaintainedGenerations,
    views::{Content, StoredView},
};

/// Reads the views of one projection.
///
/// A view that is missing, or older than the requested version, is folded in memory from the event store. The result is
/// correct even while the projector is stopped. A read writes nothing and never waits for the projector.
pub struct Reader<P> {
    views: Views<P>,
    events: EventStore,
}

/// The outcome of reading a view.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadOutcome<V> {
    /// The view, at the requested version or a later one.
    Found {
        view: V,
        /// The last folded commit.
        version: Version,
        /// The stream has a later commit that cannot be folded.
        behind: bool,
    },
    /// The stream does not exist, or folds to no view.
    NotFound,
    /// The stream has not reached the requested version. Holds the view at the head of the stream.
    VersionNotFound(Option<V>),
    /// The stream cannot be folded to the requested version: it is parked, or will be. Holds the view at the last
    /// version that can be folded.
    Parked(Option<V>),
}

impl<P: Projection> Reader<P> {
    pub fn new(views: Views<P>, events: EventStore) -> Self {
        Self { views, events }
    }

    /// Reads the view with this key, at version `at_least` or a later one. Costs half a read unit per 4 KB, and one per
    /// 4 KB of the commits that the stored view lacks.
    ///
    /// # Errors
    /// [`StoreError`] of a read.
    pub async fn read(&self, key: &str, at_least: Option<Version>) -> Result<ReadOutcome<P::View>, StoreError> {
        let stored = self.views.get(key).await?;
        let requested = at_least.unwrap_or(Version::FIRST);
        let parked = stored.as_ref().is_some_and(|stored| stored.parked.is_some());
        let (position, view) = match stored {
            Some(StoredView { position, content: Content::Current(view), .. }) => (position, Some(view)),
            Some(StoredView { position, content: Content::Deleted, .. }) => (position, None),
            Some(StoredView { content: Content::Stale, .. }) | None => (Position::START, None),
        };
        let (version, view, behind) = match position.version < requested {
            true => self.fold_missing_commits(key, position, view).await?,
            false => (position.version, view, parked),
        };
        Ok(match view {
            view if version < requested && behind => ReadOutcome::Parked(view),
            view if version < requested && at_least.is_some() => ReadOutcome::VersionNotFound(view),
            Some(view) => ReadOutcome::Found { view, version, behind },
            None => ReadOutcome::NotFound,
        })
    }

    /// Folds the commits after `position` onto `view`, or all commits if the stream does not contain `position`. Also
    /// returns whether the fold stopped before the head.
    async fn fold_missing_commits(
        &self,
        key: &str,
        position: Position,
        view: Option<P::View>,
    ) -> Result<(Version, Option<P::View>, bool), StoreError> {
        let stream = StreamId::of::<P::Event>(key);
        let Continuation { after, commits, corrupt } = self.events.load_after(&stream, position).await?;
        let view = view.filter(|_| after == position);
        let Folded { position, view, stopped, .. } = fold::<P>(
            &ReadModel::new(),
            &Bookkeeping::default(),
            &MaintainedGenerations::default(),
            after,
            view,
            commits,
        );
        Ok((position.version, view, stopped.is_some() || corrupt.is_some()))
    }
}
