//! Projections: each folds one stream into one view.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Commit, Event, Index, Recorded};

/// Folds one stream into one view: a document that is built for a query.
///
/// The fold is the only definition of the view. The projector, a rebuild, the read-your-writes overlay and the tests
/// all run it.
pub trait Projection: Send + Sync + 'static {
    type Event: Event;
    /// The document. Its fields are stored as top-level attributes, and queries return it unchanged. The names
    /// `version`, `schema`, `contribution`, `counted`, `rows`, `instalments`, `parked` and `parked_in` are reserved.
    type View: Clone + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The name in logs, reports and the index of parked streams, and the declared name of the view table. Unique among
    /// all names that a system declares.
    const NAME: &'static str;
    /// The field of the view that holds the key of its stream. It is also the partition key of the view table.
    const KEY: &'static str;
    /// The schema version of the view, from 1. Raise it with every change to [`evolve`](Self::evolve), to a rollup's
    /// contribution or to rows, and for a new rollup or new rows. A view of an older schema version is folded anew.
    const SCHEMA: u32;
    /// The lists of the views, as global secondary indexes of the view table.
    const INDEXES: &'static [Index] = &[];

    /// Returns the view after `recorded`. `None` means no view: before the first event, or after one that deletes it.
    fn evolve(view: Option<Self::View>, recorded: Recorded<'_, Self::Event>) -> Option<Self::View>;

    /// Folds `commits` into `view`.
    fn fold<'a>(
        view: Option<Self::View>,
        commits: impl IntoIterator<Item = &'a Commit<Self::Event>>,
    ) -> Option<Self::View> {
        commits.into_iter().flat_map(Commit::recorded).fold(view, Self::evolve)
    }
}
