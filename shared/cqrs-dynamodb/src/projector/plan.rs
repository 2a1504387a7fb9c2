//! The pure decisions of catching up: from a stored view and a request to a plan, and from a fold to a result.

use cqrs::{Projection, ReadModel, StoredCommit, Version};

use super::request::CatchUpRequest;
use crate::{
    Bookkeeping, StoreError,
    fold::Folded,
    parked::Parked,
    revision::Revision,
    views::{Content, StoredView},
};

/// A request, with the stored view to continue from.
pub(super) struct Work<'a, V> {
    pub(super) request: &'a CatchUpRequest,
    /// The stored view, or `None` if there is none.
    pub(super) stored: Option<StoredView<V>>,
    /// The stream was parked until this run wrote its view.
    pub(super) unparked: bool,
}

/// The decision on a stream before its commits are folded.
#[derive(Debug, PartialEq)]
pub(super) enum Plan<V> {
    /// The view has reached the requested version.
    UpToDate,
    /// The stream is parked, and the request does not include parked streams.
    Skip,
    Fold(FoldPlan<V>),
}

/// A fold of the commits after `from` onto `view`.
#[derive(Debug, PartialEq)]
pub(super) struct FoldPlan<V> {
    pub(super) from: Version,
    pub(super) view: Option<V>,
    /// The version of the stored view. A view that is folded anew must reach it before it may replace the stored one.
    pub(super) stored_version: Version,
    /// The commits to fold if the request holds all of them; otherwise they are loaded from the event store.
    pub(super) commits: Option<Vec<StoredCommit>>,
    /// The request has a head, but not all commits to fold, and the view is not folded anew.
    pub(super) fills_gap: bool,
}

/// The result of a fold.
#[derive(Debug)]
pub(super) enum FoldResult<V> {
    /// The stream has no commit after the stored view.
    UpToDate,
    /// No view can be written, so the stream must be parked.
    Park(StoreError),
    Write {
        folded: Folded<V>,
        /// The error that stopped the fold before the head. The view is written with the parked mark.
        stopped: Option<StoreError>,
    },
}

impl<'a, V: Clone> Work<'a, V> {
    pub(super) fn new(request: &'a CatchUpRequest, stored: Option<StoredView<V>>) -> Self {
        Self { request, stored, unparked: false }
    }

    /// Returns the version of the stored view, or [`Version::NONE`] if there is none.
    pub(super) fn stored_version(&self) -> Version {
        self.stored.as_ref().map_or(Version::NONE, |stored| stored.version)
    }

    /// Returns the stored bookkeeping; empty if there is no view.
    pub(super) fn bookkeeping(&self) -> Bookkeeping {
        self.stored.as_ref().map(|stored| stored.bookkeeping.clone()).unwrap_or_default()
    }

    pub(super) fn parked(&self) -> Option<&Parked> {
        self.stored.as_ref()?.parked.as_ref()
    }

    /// Returns the revision that the next write is conditional on. `key` is the partition key of the view table.
    pub(super) fn revision(&self, key: &'static str) -> Revision {
        self.stored.as_ref().map_or_else(|| Revision::absent(key), |stored| stored.revision.clone())
    }

    /// Decides on the next step. A view is folded anew if it has an older schema version, is damaged, or was written
    /// without a tally that `model` declares.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if newer code wrote the stored view.
    pub(super) fn plan<P: Projection<View = V>>(&self, model: &ReadModel<P>) -> Result<Plan<V>, StoreError> {
        let is_uncounted = |stored: &StoredView<V>| {
            model.tallies().iter().any(|tally| stored.bookkeeping.counted(tally.name) < stored.version)
        };
        let (from, view) = match &self.stored {
            None => (Version::NONE, None),
            Some(stored) if stored.schema > P::SCHEMA => {
                return Err(StoreError::NewerSchema { projection: P::NAME, found: stored.schema, known: P::SCHEMA });
            }
            Some(stored) if is_uncounted(stored) => (Version::NONE, None),
            Some(StoredView { version, content: Content::Current(view), .. }) => (*version, Some(view.clone())),
            Some(StoredView { version, content: Content::Deleted, .. }) => (*version, None),
            Some(StoredView { content: Content::Stale, .. }) => (Version::NONE, None),
        };
        // The requests for commits that arrived while the stream was parked were skipped, so the head is unknown.
        let head = self.request.head.filter(|_| !self.unparked);
        if head.is_some_and(|head| head <= from) {
            return Ok(Plan::UpToDate);
        }
        if self.parked().is_some_and(|parked| parked.blocks(P::SCHEMA)) && !self.request.include_parked {
            return Ok(Plan::Skip);
        }
        let stored_version = self.stored_version();
        let commits =
            head.filter(|head| *head >= stored_version).and_then(|head| self.request.commits_between(from, head));
        let is_folded_anew = from < stored_version;
        let fills_gap = commits.is_none() && head.is_some() && !is_folded_anew;
        Ok(Plan::Fold(FoldPlan { from, view, stored_version, commits, fills_gap }))
    }
}

impl<V> FoldResult<V> {
    /// Classifies a fold. `corrupt` is the error of the first commit that could not be read.
    pub(super) fn new(folded: Folded<V>, corrupt: Option<StoreError>, stored_version: Version) -> Self {
        let mut folded = folded;
        match folded.stopped.take().or(corrupt) {
            None if folded.commits == 0 => Self::UpToDate,
            Some(error) if folded.commits == 0 || folded.version < stored_version => Self::Park(error),
            stopped => Self::Write { folded, stopped },
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        fold::Beside,
        item::Item,
        sample::{Fillings, LevelView, Levels, filled, stream},
        views::{decode, encode},
    };

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn view(content: u32) -> LevelView {
        LevelView { content }
    }

    fn stored(version: u64, schema: u32) -> StoredView<LevelView> {
        let mut item: Item =
            encode::<Levels>("a", Version::new(version), Some(&view(5)), &Bookkeeping::default()).unwrap();
        item.insert("schema".to_owned(), crate::item::number(schema));
        decode::<Levels>(item)
    }

    fn parked(version: u64, failed_with_schema: u32) -> StoredView<LevelView> {
        let error = StoreError::bug("poison");
        let mark = Parked::new(&error, Version::new(version + 1), None, failed_with_schema, NOW);
        StoredView { parked: Some(mark), ..stored(version, Levels::SCHEMA) }
    }

    fn request(versions: impl IntoIterator<Item = u64>) -> CatchUpRequest {
        let mut request = CatchUpRequest::new(stream());
        versions.into_iter().for_each(|version| request.observe(Version::new(version), Some(filled(version, 1))));
        request
    }

    fn plan(request: &CatchUpRequest, stored: Option<StoredView<LevelView>>) -> Plan<LevelView> {
        Work::new(request, stored).plan(&ReadModel::<Levels>::new()).unwrap()
    }

    fn folds(plan: Plan<LevelView>) -> FoldPlan<LevelView> {
        let Plan::Fold(fold) = plan else { panic!("expected a fold, not {plan:?}") };
        fold
    }

    #[test]
    fn a_view_that_has_reached_the_head_is_up_to_date() {
        assert_eq!(plan(&request([1, 2]), Some(stored(2, Levels::SCHEMA))), Plan::UpToDate);
        assert_eq!(plan(&request([1]), Some(stored(2, Levels::SCHEMA))), Plan::UpToDate);
    }

    #[test]
    fn a_new_stream_is_folded_from_the_commits_of_the_request() {
        let fold = folds(plan(&request([1, 2]), None));
        assert_eq!((fold.from, fold.view, fold.fills_gap), (Version::NONE, None, false));
        assert_eq!(fold.commits.unwrap(), [filled(1, 1), filled(2, 1)]);
    }

    #[test]
    fn a_missing_commit_is_a_gap_and_is_loaded() {
        let fold = folds(plan(&request([3]), Some(stored(1, Levels::SCHEMA))));
        assert_eq!((fold.from, fold.view), (Version::new(1), Some(view(5))));
        assert_eq!((fold.commits, fold.fills_gap), (None, true));
    }

    #[test]
    fn a_request_without_a_head_loads_commits_and_fills_no_gap() {
        let fold = folds(plan(&CatchUpRequest::new(stream()), Some(stored(1, Levels::SCHEMA))));
        assert_eq!((fold.commits, fold.fills_gap), (None, false));
    }

    #[test]
    fn a_view_of_an_older_schema_is_folded_anew_at_least_to_its_version() {
        let fold = folds(plan(&request([1, 2]), Some(stored(4, Levels::SCHEMA - 1))));
        assert_eq!((fold.from, fold.view, fold.stored_version), (Version::NONE, None, Version::new(4)));
        assert_eq!(fold.commits, None, "the commits of the request end before the stored version");
        assert!(!fold.fills_gap);
    }

    #[test]
    fn a_view_that_was_written_without_a_tally_is_folded_anew() {
        let model = || ReadModel::<Levels>::new().tally::<Fillings>();
        let request = request([1, 2, 3]);
        let plan = |stored| folds(Work::new(&request, Some(stored)).plan(&model()).unwrap());
        assert_eq!(plan(stored(2, Levels::SCHEMA)).from, Version::NONE);
        let mut counted = stored(2, Levels::SCHEMA);
        counted.bookkeeping.counted.insert("fillings".to_owned(), Version::new(2));
        assert_eq!(plan(counted).from, Version::new(2));
    }

    #[test]
    fn a_view_of_a_newer_schema_is_an_error() {
        let request = request([5]);
        let error =
            Work::new(&request, Some(stored(4, Levels::SCHEMA + 1))).plan(&ReadModel::<Levels>::new()).unwrap_err();
        assert!(matches!(error, StoreError::NewerSchema { found: 3, known: 2, .. }), "{error}");
    }

    #[test]
    fn a_parked_stream_is_skipped_unless_redriven_or_folded_by_another_schema() {
        assert_eq!(plan(&request([3]), Some(parked(1, Levels::SCHEMA))), Plan::Skip);
        let redrive = CatchUpRequest::redrive(stream());
        assert!(matches!(plan(&redrive, Some(parked(1, Levels::SCHEMA))), Plan::Fold(_)));
        assert!(matches!(plan(&request([3]), Some(parked(1, Levels::SCHEMA - 1))), Plan::Fold(_)));
    }

    #[test]
    fn an_unparked_stream_is_folded_beyond_the_head_of_the_request() {
        let request = request([2]);
        let work = Work { unparked: true, ..Work::new(&request, Some(stored(2, Levels::SCHEMA))) };
        let fold = folds(work.plan(&ReadModel::<Levels>::new()).unwrap());
        assert_eq!((fold.commits, fold.fills_gap), (None, false));
    }

    fn folded(version: u64, commits: usize, stopped: Option<StoreError>) -> Folded<LevelView> {
        let (version, view) = (Version::new(version), Some(view(1)));
        Folded { version, view, beside: Beside::default(), tallied: Vec::new(), commits, stopped }
    }

    #[test]
    fn a_fold_without_commits_has_nothing_to_write() {
        assert!(matches!(FoldResult::new(folded(2, 0, None), None, Version::new(2)), FoldResult::UpToDate));
    }

    #[test]
    fn a_fold_that_stops_at_once_or_before_the_stored_version_parks_the_stream() {
        let poison = || Some(StoreError::bug("poison"));
        assert!(matches!(FoldResult::new(folded(2, 0, poison()), None, Version::new(2)), FoldResult::Park(_)));
        assert!(matches!(FoldResult::new(folded(2, 2, poison()), None, Version::new(3)), FoldResult::Park(_)));
        assert!(matches!(FoldResult::new(folded(2, 0, None), poison(), Version::new(2)), FoldResult::Park(_)));
    }

    #[test]
    fn a_fold_that_stops_later_writes_the_view_with_the_reason() {
        let result = FoldResult::new(folded(3, 1, Some(StoreError::bug("poison"))), None, Version::new(2));
        assert!(matches!(&result, FoldResult::Write { folded, stopped: Some(_) } if folded.commits == 1), "{result:?}");
    }
}
