//! Reads views, with the caller's own writes folded in.

use cqrs::{Counters, Projection, StreamId, Version};

use crate::{
    EventStore, StoreError, Versioned, Views,
    fold::{Folded, fold},
    views::{Content, StoredView},
};

/// Reads the views of one projection.
///
/// A view that is not there yet, or older than asked for, is folded in memory from the write table: right at once, also
/// when the projector stands still. Nothing is written, and nobody waits.
pub struct Reader<P> {
    views: Views<P>,
    events: EventStore,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadOutcome<V> {
    /// The view, at the version asked for or a later one.
    Found(Versioned<V>),
    /// There is no such view, because there is no such stream or because it has ended.
    NotFound,
    /// The stream has not come to the version asked for; this is the view at its head, if there is one.
    VersionNotFound(Option<V>),
    /// The stream cannot be folded to the version asked for: it is parked, or about to be. This is the view as far as
    /// it goes, if there is one.
    Parked(Option<V>),
}

impl<P: Projection> Reader<P> {
    /// Reads `views`, and folds what they lack from `events`.
    pub fn new(views: Views<P>, events: EventStore) -> Self {
        Self { views, events }
    }

    /// The view with this key, at `at_least` this version: half a read unit per 4 KB, and where it is behind, one per 4 KB
    /// of the commits that it lacks.
    ///
    /// # Errors
    /// [`StoreError`] of a read, or of the stream behind a view that is missing or behind.
    pub async fn read(&self, key: &str, at_least: Option<Version>) -> Result<ReadOutcome<P::View>, StoreError> {
        let stored = self.views.get(key).await?;
        let asked = at_least.unwrap_or(Version::FIRST);
        let parked = stored.as_ref().is_some_and(|stored| stored.parked.is_some());
        let (version, view) = match stored {
            Some(StoredView { version, content: Content::Current(view), .. }) => (version, Some(view)),
            Some(StoredView { version, content: Content::Deleted, .. }) => (version, None),
            Some(StoredView { content: Content::Stale, .. }) | None => (Version::NONE, None),
        };
        let (version, view, behind) = match version < asked {
            true => self.fold_on(key, version, view).await?,
            false => (version, view, parked),
        };
        Ok(match view {
            view if version < asked && behind => ReadOutcome::Parked(view),
            view if version < asked && at_least.is_some() => ReadOutcome::VersionNotFound(view),
            Some(view) => ReadOutcome::Found(Versioned { view, version, behind }),
            None => ReadOutcome::NotFound,
        })
    }

    /// The view as far as its stream can be folded, and whether that is not to its end.
    async fn fold_on(
        &self,
        key: &str,
        version: Version,
        view: Option<P::View>,
    ) -> Result<(Version, Option<P::View>, bool), StoreError> {
        let stream = StreamId::of::<P::Event>(key);
        let (commits, corrupt) = self.events.load_readable(&stream, version).await?;
        let Folded { version, view, stopped, .. } = fold::<P>(version, view, commits, |_| Counters::default());
        Ok((version, view, stopped.is_some() || corrupt.is_some()))
    }
}
