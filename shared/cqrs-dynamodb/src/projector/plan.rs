//! The pure decisions of catching up: from a stored view and a request to a plan, and from a fold to a result.

use cqrs::{Position, Projection, ReadModel, StoredCommit, Version};

use super::request::CatchUpRequest;
use crate::{
    Bookkeeping, StoreError,
    fold::Folded,
    generations::{Generations, MaintainedGenerations},
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
    pub(super) from: Position,
    pub(super) view: Option<V>,
    /// The commits to fold if the request holds all of them; otherwise they are loaded from the event store.
    pub(super) commits: Option<Vec<StoredCommit>>,
    /// The request has a head, but not all commits to fold, and the view is not folded anew.
    pub(super) fills_gap: bool,
}

/// The result of a fold.
#[derive(Debug)]
pub(super) enum FoldResult<V> {
    /// The stream has no commit after the stored view, or neither commits nor a view.
    UpToDate,
    /// The stream has no commits, so its view must be removed.
    Remove(Folded<V>),
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
        self.stored_position().version
    }

    /// Returns the position of the stored view, or [`Position::START`] if there is none.
    pub(super) fn stored_position(&self) -> Position {
        self.stored.as_ref().map_or(Position::START, |stored| stored.position)
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

    /// Returns the generations of counters that a write of the view must keep correct. `known` returns the active
    /// generations of a table.
    pub(super) fn maintained<P: Projection<View = V>>(
        &self,
        model: &ReadModel<P>,
        known: impl Fn(&str) -> Generations,
    ) -> MaintainedGenerations {
        MaintainedGenerations::of(model, &self.bookkeeping(), known)
    }

    /// Decides on the next step. A view is folded anew if it has an older schema version, is damaged, is being written
    /// in instalments, or lacks a rollup or tally of `model` in one of the maintained `generations`.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if newer code wrote the stored view.
    pub(super) fn plan<P: Projection<View = V>>(
        &self,
        model: &ReadModel<P>,
        generations: &MaintainedGenerations,
    ) -> Result<Plan<V>, StoreError> {
        // An instalment may have written a part of an entry, so its presence proves nothing.
        let is_uncounted = |stored: &StoredView<V>| {
            stored.in_instalments || stored.bookkeeping.lacks(model, generations, stored.position.version)
        };
        let (from, view) = match &self.stored {
            None => (Position::START, None),
            Some(stored) if stored.schema > P::SCHEMA => {
                return Err(StoreError::NewerSchema { projection: P::NAME, found: stored.schema, known: P::SCHEMA });
            }
            Some(stored) if is_uncounted(stored) => (Position::START, None),
            Some(StoredView { position, content: Content::Current(view), .. }) => (*position, Some(view.clone())),
            Some(StoredView { position, content: Content::Deleted, .. }) => (*position, None),
            Some(StoredView { content: Content::Stale, .. }) => (Position::START, None),
        };
        // The requests for commits that arrived while the stream was parked were skipped, so the head is unknown.
        let head = self.request.head.filter(|_| !self.unparked);
        if head.is_some() && from != Position::START && self.request.ends_at(from) {
            return Ok(Plan::UpToDate);
        }
        if self.parked().is_some_and(|parked| parked.blocks(P::SCHEMA)) && !self.request.include_parked {
            return Ok(Plan::Skip);
        }
        let stored = self.stored_position();
        let beyond = head.filter(|head| *head > from.version && *head >= stored.version);
        let commits = beyond.and_then(|head| self.request.commits_between(from, head));
        let fills_gap = commits.is_none() && beyond.is_some() && from == stored;
        Ok(Plan::Fold(FoldPlan { from, view, commits, fills_gap }))
    }
}

impl<V> FoldResult<V> {
    /// Classifies a fold. `corrupt` is the error of the first commit that could not be read. `stored` is the version of
    /// the stored view, or `None` if there is none.
    ///
    /// The stream may be shorter than the stored view, after a restore. Then the view is written at a lower version.
    pub(super) fn new(folded: Folded<V>, corrupt: Option<StoreError>, stored: Option<Version>) -> Self {
        let mut folded = folded;
        match folded.stopped.take().or(corrupt) {
            None if folded.commits > 0 => Self::Write { folded, stopped: None },
            None if stored.is_some() && folded.position == Position::START => Self::Remove(folded),
            None => Self::UpToDate,
            Some(error) if folded.commits == 0 || Some(folded.position.version) < stored => Self::Park(error),
            stopped => Self::Write { folded, stopped },
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        Generation, InGeneration,
        fold::Beside,
        item::Item,
        sample::{Fillings, LevelView, Levels, chain, filled, stream},
        views::{decode, encode},
    };

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn view(content: u32) -> LevelView {
        LevelView { content }
    }

    fn commits(head: u64) -> Vec<StoredCommit> {
        chain((1..=head).map(|version| filled(version, 1)).collect())
    }

    fn position(version: u64) -> Position {
        commits(version).last().map_or(Position::START, StoredCommit::position)
    }

    fn stored(version: u64, schema: u32) -> StoredView<LevelView> {
        let bookkeeping = Bookkeeping::default();
        let mut item: Item = encode::<Levels>("a", position(version), Some(&view(5)), &bookkeeping).unwrap();
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
        for version in versions {
            request.observe(Version::new(version), commits(version).pop());
        }
        request
    }

    fn plan(request: &CatchUpRequest, stored: Option<StoredView<LevelView>>) -> Plan<LevelView> {
        let work = Work::new(request, stored);
        let model = ReadModel::<Levels>::new();
        work.plan(&model, &MaintainedGenerations::first(&model)).unwrap()
    }

    fn folds(plan: Plan<LevelView>) -> FoldPlan<LevelView> {
        let Plan::Fold(fold) = plan else { panic!("expected a fold, not {plan:?}") };
        fold
    }

    #[test]
    fn a_view_that_has_reached_the_head_is_up_to_date() {
        assert_eq!(plan(&request([1, 2]), Some(stored(2, Levels::SCHEMA))), Plan::UpToDate);
    }

    #[test]
    fn a_view_that_was_folded_from_another_commit_is_loaded() {
        let mut other = request([1]);
        let second = chain(vec![filled(1, 1), filled(2, 9)]).pop();
        other.observe(Version::new(2), second.clone());
        let fold = folds(plan(&other, Some(stored(2, Levels::SCHEMA))));
        assert_eq!((fold.from, fold.commits, fold.fills_gap), (position(2), None, false));
        let third = chain(vec![filled(1, 1), filled(2, 9), filled(3, 1)]).pop();
        other.observe(Version::new(3), third);
        let fold = folds(plan(&other, Some(stored(2, Levels::SCHEMA))));
        assert_eq!((fold.from, fold.commits, fold.fills_gap), (position(2), None, true));
    }

    #[test]
    fn a_commit_before_the_version_of_the_view_is_loaded_because_the_stream_may_be_shorter() {
        let fold = folds(plan(&request([1]), Some(stored(2, Levels::SCHEMA))));
        assert_eq!((fold.from, fold.commits, fold.fills_gap), (position(2), None, false));
    }

    #[test]
    fn a_new_stream_is_folded_from_the_commits_of_the_request() {
        let fold = folds(plan(&request([1, 2]), None));
        assert_eq!((fold.from, fold.view, fold.fills_gap), (Position::START, None, false));
        assert_eq!(fold.commits.unwrap(), commits(2));
    }

    #[test]
    fn a_missing_commit_is_a_gap_and_is_loaded() {
        let fold = folds(plan(&request([3]), Some(stored(1, Levels::SCHEMA))));
        assert_eq!((fold.from, fold.view), (position(1), Some(view(5))));
        assert_eq!((fold.commits, fold.fills_gap), (None, true));
    }

    #[test]
    fn a_request_without_a_head_loads_commits_and_fills_no_gap() {
        let fold = folds(plan(&CatchUpRequest::new(stream()), Some(stored(1, Levels::SCHEMA))));
        assert_eq!((fold.commits, fold.fills_gap), (None, false));
    }

    #[test]
    fn a_view_of_an_older_schema_is_folded_anew() {
        let fold = folds(plan(&request([1, 2]), Some(stored(4, Levels::SCHEMA - 1))));
        assert_eq!((fold.from, fold.view), (Position::START, None));
        assert_eq!(fold.commits, None, "the commits of the request end before the stored version");
        assert!(!fold.fills_gap);
    }

    #[test]
    fn a_view_that_was_written_without_a_tally_is_folded_anew() {
        let model = || ReadModel::<Levels>::new().tally::<Fillings>();
        let request = request([1, 2, 3]);
        let generations = MaintainedGenerations::first(&model());
        let plan = |stored| folds(Work::new(&request, Some(stored)).plan(&model(), &generations).unwrap());
        assert_eq!(plan(stored(2, Levels::SCHEMA)).from, Position::START);
        let mut counted = stored(2, Levels::SCHEMA);
        counted.bookkeeping.counted.insert(InGeneration::new("fillings", Generation::FIRST), Version::new(2));
        assert_eq!(plan(counted.clone()).from, position(2));
        // A rebuild of the counters has begun.
        let building =
            Generations { building: Some(Generation::new(2)), latest: Generation::new(2), ..Generations::FIRST };
        let work = Work::new(&request, Some(counted));
        let generations = work.maintained(&model(), |_| building);
        assert_eq!(folds(work.plan(&model(), &generations).unwrap()).from, Position::START);
    }

    #[test]
    fn a_view_of_a_newer_schema_is_an_error() {
        let model = ReadModel::<Levels>::new();
        let generations = MaintainedGenerations::first(&model);
        let request = request([5]);
        let error = Work::new(&request, Some(stored(4, Levels::SCHEMA + 1))).plan(&model, &generations).unwrap_err();
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
        let model = ReadModel::<Levels>::new();
        let fold = folds(work.plan(&model, &MaintainedGenerations::first(&model)).unwrap());
        assert_eq!((fold.commits, fold.fills_gap), (None, false));
    }

    fn folded(version: u64, commits: usize, stopped: Option<StoreError>) -> Folded<LevelView> {
        let (position, view) = (position(version), Some(view(1)));
        Folded {
            position,
            view,
            beside: Beside::default(),
            tallied: Vec::new(),
            published: Vec::new(),
            commits,
            stopped,
        }
    }

    #[test]
    fn a_fold_without_commits_has_nothing_to_write() {
        assert!(matches!(FoldResult::new(folded(2, 0, None), None, Some(Version::new(2))), FoldResult::UpToDate));
        assert!(matches!(FoldResult::new(folded(0, 0, None), None, None), FoldResult::UpToDate));
    }

    #[test]
    fn a_fold_that_stops_at_once_or_before_the_stored_version_parks_the_stream() {
        let poison = || Some(StoreError::bug("poison"));
        let result = |folded, corrupt, stored| FoldResult::new(folded, corrupt, Some(Version::new(stored)));
        assert!(matches!(result(folded(2, 0, poison()), None, 2), FoldResult::Park(_)));
        assert!(matches!(result(folded(2, 2, poison()), None, 3), FoldResult::Park(_)));
        assert!(matches!(result(folded(2, 0, None), poison(), 2), FoldResult::Park(_)));
        assert!(matches!(result(folded(0, 0, None), poison(), 2), FoldResult::Park(_)));
    }

    #[test]
    fn a_stream_that_is_shorter_than_its_view_lowers_or_removes_the_view() {
        let result = |folded| FoldResult::new(folded, None, Some(Version::new(3)));
        assert!(
            matches!(result(folded(2, 2, None)), FoldResult::Write { folded, .. } if folded.position == position(2))
        );
        assert!(matches!(result(folded(0, 0, None)), FoldResult::Remove(_)));
    }

    #[test]
    fn a_fold_that_stops_later_writes_the_view_with_the_reason() {
        let result = FoldResult::new(folded(3, 1, Some(StoreError::bug("poison"))), None, Some(Version::new(2)));
        assert!(matches!(&result, FoldResult::Write { folded, stopped: Some(_) } if folded.commits == 1), "{result:?}");
    }
}
