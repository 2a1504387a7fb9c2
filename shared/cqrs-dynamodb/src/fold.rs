//! The fold of a stream onto a view, up to the first commit that the code cannot fold.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use cqrs::{Counters, Projection, ReadModel, StoredCommit, Version};

use crate::{StoreError, event_store::decode};

/// The result of a fold.
#[derive(Debug)]
pub(crate) struct Folded<V> {
    /// The last folded commit.
    pub(crate) version: Version,
    /// The view, or `None` if the stream folds to no view.
    pub(crate) view: Option<V>,
    /// The view's contribution, by table of counters.
    pub(crate) contribution: BTreeMap<String, Counters>,
    /// The number of folded commits.
    pub(crate) commits: usize,
    /// The error that stopped the fold: an undecodable commit, or a panic of the projection.
    pub(crate) stopped: Option<StoreError>,
}

/// Folds `commits` onto `view`, which is at `version`, and computes what `model` declares beside the view. A panic of the projection stops only this fold.
pub(crate) fn fold<P: Projection>(
    model: &ReadModel<P>,
    version: Version,
    view: Option<P::View>,
    commits: Vec<StoredCommit>,
) -> Folded<P::View> {
    let mut folded = Folded { version, view, contribution: BTreeMap::new(), commits: 0, stopped: None };
    for commit in commits {
        match fold_commit(model, folded.view.clone(), commit) {
            Ok((version, view, contribution)) => {
                folded = Folded { version, view, contribution, commits: folded.commits + 1, stopped: None };
            }
            Err(error) => return Folded { stopped: Some(error), ..folded },
        }
    }
    folded
}

/// Folds one commit. Catches a panic of the projection, so that it parks one stream instead of failing the batch.
fn fold_commit<P: Projection>(
    model: &ReadModel<P>,
    view: Option<P::View>,
    commit: StoredCommit,
) -> Result<(Version, Option<P::View>, BTreeMap<String, Counters>), StoreError> {
    let commit = decode(commit)?;
    let folded = catch_unwind(AssertUnwindSafe(|| {
        let view = P::fold(view, [&commit]);
        let contribution = view.as_ref().map(|view| contribution(model, view)).unwrap_or_default();
        (commit.version, view, contribution)
    }));
    folded.map_err(|_| StoreError::Corrupt {
        stream: commit.stream.clone(),
        version: commit.version,
        reason: format!("the code of {} panicked", P::NAME),
    })
}

/// Adds up the contributions of the view to each table.
fn contribution<P: Projection>(model: &ReadModel<P>, view: &P::View) -> BTreeMap<String, Counters> {
    let mut by_table: BTreeMap<String, Counters> = BTreeMap::new();
    for rollup in model.rollups() {
        *by_table.entry(rollup.table.to_owned()).or_default() += &(rollup.contribution)(view);
    }
    by_table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Content, LevelView, Levels, filled, sealed, unknown};

    fn levels(commits: Vec<StoredCommit>) -> Folded<LevelView> {
        fold(&ReadModel::<Levels>::new().rollup::<Content>(), Version::NONE, None, commits)
    }

    #[test]
    fn a_fold_reaches_the_last_commit() {
        let folded = levels(vec![filled(1, 5), filled(2, 7)]);
        assert_eq!((folded.version, folded.commits), (Version::new(2), 2));
        assert_eq!(folded.view, Some(LevelView { content: 12 }));
        let contribution = Counters::default().with("all", "content", 12);
        assert_eq!(folded.contribution, BTreeMap::from([("content".to_owned(), contribution)]));
        assert!(folded.stopped.is_none());
    }

    #[test]
    fn a_fold_stops_before_an_unknown_event() {
        let folded = levels(vec![filled(1, 5), unknown(2), filled(3, 7)]);
        assert_eq!((folded.version, folded.commits), (Version::new(1), 1));
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
        assert_eq!((folded.version, folded.view), (Version::new(2), None));
        assert!(folded.contribution.is_empty());
    }
}
