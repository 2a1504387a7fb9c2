//! Folds a stream as far as it can be folded: up to its end, or to a commit that the code cannot take.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cqrs::{Counters, Projection, StoredCommit, Version};

use crate::{StoreError, event_store::decode};

/// A view, as far as its stream could be folded.
#[derive(Debug)]
pub(crate) struct Folded<V> {
    /// The last commit folded in.
    pub(crate) version: Version,
    /// The view; `None` if there is none after that commit.
    pub(crate) view: Option<V>,
    /// What it adds to the counters.
    pub(crate) contribution: Counters,
    /// How many commits were folded.
    pub(crate) commits: usize,
    /// Why it was not folded to the end: an event that is not known, or code that panics.
    pub(crate) stopped: Option<StoreError>,
}

/// Folds `commits`, which come after `version`, on `view`. A panic of the domain's code stops it, and nothing else.
pub(crate) fn fold<P: Projection>(
    version: Version,
    view: Option<P::View>,
    commits: Vec<StoredCommit>,
    contribution: impl Fn(&P::View) -> Counters,
) -> Folded<P::View> {
    let mut folded = Folded { version, view, contribution: Counters::default(), commits: 0, stopped: None };
    for commit in commits {
        match step::<P>(folded.view.clone(), commit, &contribution) {
            Ok((version, view, contribution)) => {
                folded = Folded { version, view, contribution, commits: folded.commits + 1, stopped: None };
            }
            Err(failure) => return Folded { stopped: Some(failure), ..folded },
        }
    }
    folded
}

/// One commit: all that is the domain's own code.
fn step<P: Projection>(
    view: Option<P::View>,
    commit: StoredCommit,
    contribution: &impl Fn(&P::View) -> Counters,
) -> Result<(Version, Option<P::View>, Counters), StoreError> {
    let commit = decode(commit)?;
    let folded = catch_unwind(AssertUnwindSafe(|| {
        let view = P::fold(view, [&commit]);
        let contribution = view.as_ref().map(contribution).unwrap_or_default();
        (commit.version, view, contribution)
    }));
    folded.map_err(|_| StoreError::Corrupt {
        stream: commit.stream.clone(),
        version: commit.version,
        reason: format!("the code of {} panicked", P::NAME),
    })
}
