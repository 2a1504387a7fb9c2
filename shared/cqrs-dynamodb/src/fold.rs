//! The fold of a stream onto a view, up to the first commit that the code cannot fold.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use cqrs::{
    Commit, Counters, Position, Projection, PublicRecord, ReadModel, StoredCommit, Version, rows::SerializedRows,
};

use crate::{
    Bookkeeping, Generation, InGeneration, StoreError, bookkeeping::SEPARATOR, commit_item::decode_events,
    dynamo::MAX_ACTIONS, generations::MaintainedGenerations, rows::have_key_fields,
};

/// The result of a fold.
#[derive(Debug)]
pub(crate) struct Folded<V> {
    /// The last folded commit.
    pub(crate) position: Position,
    /// The view, or `None` if the stream folds to no view.
    pub(crate) view: Option<V>,
    pub(crate) beside: Beside,
    /// The counts of all tallies in the folded commits, in the order of the commits.
    pub(crate) tallied: Vec<TalliedCommit>,
    /// The public events of the folded commits, if the read model belongs to a publication.
    pub(crate) published: Vec<PublicRecord>,
    /// The number of folded commits.
    pub(crate) commits: usize,
    /// The error that stopped the fold: an undecodable commit, or a panic of the projection.
    pub(crate) stopped: Option<StoreError>,
}

/// The contribution and the rows of a view.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Beside {
    /// By table of counters.
    pub(crate) contribution: BTreeMap<String, Counters>,
    /// By table of rows.
    pub(crate) rows: BTreeMap<String, SerializedRows>,
}

/// The counts of one tally in one commit, to add to one generation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TalliedCommit {
    pub(crate) tally: &'static str,
    pub(crate) table: &'static str,
    pub(crate) generation: Generation,
    pub(crate) version: Version,
    /// Not zero.
    pub(crate) counts: Counters,
}

/// One folded commit.
struct FoldedCommit<V> {
    view: Option<V>,
    beside: Beside,
    tallied: Vec<TalliedCommit>,
    published: Vec<PublicRecord>,
}

/// Folds `commits` onto `view`, which is at `position`, and computes the rollups, tallies and rows of `model`. A tally
/// counts the commits after its version in `bookkeeping`, for each of the maintained `generations`. A panic of the
/// declared code stops only this fold.
pub(crate) fn fold<P: Projection>(
    model: &ReadModel<P>,
    bookkeeping: &Bookkeeping,
    generations: &MaintainedGenerations,
    position: Position,
    view: Option<P::View>,
    commits: Vec<StoredCommit>,
) -> Folded<P::View> {
    let beside = Beside::default();
    let (tallied, published) = (Vec::new(), Vec::new());
    let mut folded = Folded { position, view, beside, tallied, published, commits: 0, stopped: None };
    for commit in commits {
        let position = commit.position();
        match fold_commit(model, bookkeeping, generations, folded.view.clone(), commit) {
            Ok(FoldedCommit { view, beside, tallied, published }) => {
                folded.tallied.extend(tallied);
                folded.published.extend(published);
                folded = Folded { position, view, beside, commits: folded.commits + 1, ..folded };
            }
            Err(error) => return Folded { stopped: Some(error), ..folded },
        }
    }
    folded
}

/// Adds up the counts of the tallies in the commits through their version in `bookkeeping`, by table of counters and
/// generation. Commits that this code cannot decode or count add nothing.
pub(crate) fn counted<P: Projection>(
    model: &ReadModel<P>,
    bookkeeping: &Bookkeeping,
    commits: &[StoredCommit],
) -> BTreeMap<InGeneration, Counters> {
    let mut sums: BTreeMap<InGeneration, Counters> = BTreeMap::new();
    let generations = MaintainedGenerations::stored(model, bookkeeping);
    let is_counted = |name: &str, generation, version: Version| version <= bookkeeping.counted(name, generation);
    let last = bookkeeping.counted.values().max().copied().unwrap_or_default();
    for commit in commits.iter().take_while(|commit| commit.version <= last) {
        let Ok(commit) = decode_events::<P::Event>(commit.clone()) else { continue };
        let tallied = catch_unwind(AssertUnwindSafe(|| {
            tally(model, &generations, &commit, |name, generation| is_counted(name, generation, commit.version))
        }));
        for TalliedCommit { table, generation, counts, .. } in tallied.unwrap_or_default() {
            *sums.entry(InGeneration::new(table, generation)).or_default() += &counts;
        }
    }
    sums
}

/// Folds one commit. Catches a panic of the declared code, so that it parks one stream instead of failing the batch.
fn fold_commit<P: Projection>(
    model: &ReadModel<P>,
    bookkeeping: &Bookkeeping,
    generations: &MaintainedGenerations,
    view: Option<P::View>,
    commit: StoredCommit,
) -> Result<FoldedCommit<P::View>, StoreError> {
    let commit = decode_events(commit)?;
    let folded = catch_unwind(AssertUnwindSafe(|| {
        let published = model.publication().map_or(Ok(Vec::new()), |records| records(view.as_ref(), &commit));
        // The error of serde may quote the data, which must not be logged.
        let published = published.map_err(|_| format!("a public event of {} cannot be serialized", P::NAME))?;
        let view = P::fold(view, [&commit]);
        let beside = view.as_ref().map_or_else(|| Ok(Beside::default()), |view| beside(model, view))?;
        let is_due = |name: &str, generation| commit.version > bookkeeping.counted(name, generation);
        let tallied = tally(model, generations, &commit, is_due);
        check_rows_of_tallies(&tallied)?;
        Ok(FoldedCommit { view, beside, tallied, published })
    }));
    let panicked = || Err(format!("the code of {} panicked", P::NAME));
    folded.unwrap_or_else(|_| panicked()).map_err(|reason| StoreError::Corrupt {
        stream: commit.stream.clone(),
        version: commit.version,
        reason,
    })
}

/// Computes the contribution and the rows of the view.
///
/// # Errors
/// The reason why a row cannot be stored.
fn beside<P: Projection>(model: &ReadModel<P>, view: &P::View) -> Result<Beside, String> {
    let mut beside = Beside::default();
    for rollup in model.rollups() {
        *beside.contribution.entry(rollup.table.to_owned()).or_default() += &(rollup.contribution)(view);
    }
    for declared in model.declared_rows() {
        // The error of serde may quote the data, which must not be logged.
        let rows = (declared.rows)(view).map_err(|_| format!("a row of {} cannot be serialized", declared.name))?;
        if rows.keys().any(|key| key.partition.is_empty() || key.partition.contains(SEPARATOR)) {
            return Err(format!("a row of {} has an invalid partition", declared.name));
        }
        if have_key_fields(&rows) {
            return Err(format!("a row of {} has a field partition or sort", declared.name));
        }
        beside.rows.insert(declared.name.to_owned(), rows);
    }
    Ok(beside)
}

/// Counts the commit with each tally, for each of the `generations` in which it `is_due`.
fn tally<P: Projection>(
    model: &ReadModel<P>,
    generations: &MaintainedGenerations,
    commit: &Commit<P::Event>,
    is_due: impl Fn(&str, Generation) -> bool,
) -> Vec<TalliedCommit> {
    let mut tallied = Vec::new();
    for tally in model.tallies() {
        let mut due = generations.of_table(tally.table).filter(|generation| is_due(tally.name, *generation)).peekable();
        if due.peek().is_none() {
            continue;
        }
        let mut counts = Counters::default();
        commit.recorded().for_each(|recorded| counts += &(tally.count)(recorded));
        let (version, name, table) = (commit.version, tally.name, tally.table);
        let in_generation =
            |generation| TalliedCommit { tally: name, table, generation, version, counts: counts.clone() };
        tallied.extend(due.map(in_generation).filter(|tallied| !tallied.counts.is_zero()));
    }
    tallied
}

/// A tally advances by whole commits, so what it counts in one commit must fit into one transaction beside the view.
fn check_rows_of_tallies(tallied: &[TalliedCommit]) -> Result<(), String> {
    const LIMIT: usize = MAX_ACTIONS - 1;
    match tallied.iter().map(|tallied| (tallied.tally, tallied.counts.rows().count())).find(|(_, rows)| *rows > LIMIT) {
        Some((tally, rows)) => Err(format!("{tally} counts the commit in {rows} rows, more than {LIMIT}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Content, Fillings, LevelView, Levels, LevelsByContent, filled, sealed, unknown};

    fn model() -> ReadModel<Levels> {
        ReadModel::new().rollup::<Content>().tally::<Fillings>().rows::<LevelsByContent>()
    }

    fn levels(commits: Vec<StoredCommit>) -> Folded<LevelView> {
        let generations = MaintainedGenerations::first(&model());
        fold(&model(), &Bookkeeping::default(), &generations, Position::START, None, commits)
    }

    #[test]
    fn a_fold_reaches_the_last_commit() {
        let folded = levels(vec![filled(1, 5), filled(2, 7)]);
        assert_eq!((folded.position.version, folded.commits), (Version::new(2), 2));
        assert_eq!(folded.view, Some(LevelView { content: 12 }));
        let contribution = Counters::default().with("all", "content", 12);
        assert_eq!(folded.beside.contribution, BTreeMap::from([("content".to_owned(), contribution)]));
        assert!(folded.stopped.is_none());
    }

    #[test]
    fn a_fold_stops_before_an_unknown_event() {
        let folded = levels(vec![filled(1, 5), unknown(2), filled(3, 7)]);
        assert_eq!((folded.position.version, folded.commits), (Version::new(1), 1));
        assert!(matches!(folded.stopped, Some(StoreError::Corrupt { version, .. }) if version == Version::new(2)));
    }

    #[test]
    fn a_panic_of_the_projection_stops_the_fold() {
        let folded = levels(vec![filled(1, 5), filled(2, u32::MAX), filled(3, 7)]);
        assert_eq!(folded.view, Some(LevelView { content: 5 }));
        let reason = folded.stopped.map(|error| error.to_string());
        assert_eq!(reason.as_deref(), Some("stream jar#a is corrupt at version 2: the code of levels panicked"));
    }

    #[test]
    fn a_stream_may_fold_to_no_view() {
        let folded = levels(vec![filled(1, 5), sealed(2)]);
        assert_eq!((folded.position.version, folded.view), (Version::new(2), None));
        assert_eq!(folded.beside, Beside::default());
        assert_eq!(folded.tallied.len(), 2, "a deleted view has counted its events");
    }

    #[test]
    fn a_tally_counts_the_commits_after_its_version() {
        let generations = MaintainedGenerations::first(&model());
        let bookkeeping = Bookkeeping {
            counted: BTreeMap::from([(InGeneration::new("fillings", Generation::FIRST), Version::new(1))]),
            ..Bookkeeping::default()
        };
        let commits = vec![filled(1, 5), filled(2, 7), filled(3, 1)];
        let folded = fold(&model(), &bookkeeping, &generations, Position::START, None, commits.clone());
        assert_eq!(folded.tallied.iter().map(|tallied| tallied.version.get()).collect::<Vec<_>>(), [2, 3]);
        let through_the_first = counted(&model(), &bookkeeping, &commits);
        let one = Counters::default().with("all", "fillings", 1);
        assert_eq!(through_the_first, BTreeMap::from([(InGeneration::new("fillings", Generation::FIRST), one)]));
        let after = bookkeeping.after(&model(), &generations, &folded);
        assert_eq!(after.counted("fillings", Generation::FIRST), Version::new(3));
    }

    #[test]
    fn a_commit_that_counts_in_too_many_rows_stops_the_fold() {
        // The sample's tally counts such a filling in one row per unit.
        let folded = levels(vec![filled(1, 5), filled(2, 100_100)]);
        let reason = folded.stopped.map(|error| error.to_string());
        let expected = "stream jar#a is corrupt at version 2: fillings counts the commit in 100 rows, more than 99";
        assert_eq!((folded.position.version, reason.as_deref()), (Version::new(1), Some(expected)));
    }

    #[test]
    fn a_row_without_a_partition_stops_the_fold() {
        let folded = levels(vec![filled(1, 0)]);
        let reason = folded.stopped.map(|error| error.to_string());
        let expected = "stream jar#a is corrupt at version 1: a row of levels-by-content has an invalid partition";
        assert_eq!(reason.as_deref(), Some(expected));
    }
}
