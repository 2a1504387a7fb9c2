//! A projection: folds one stream into one view.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Commit, Event, Recorded};

/// Folds one stream into one view, a document that is built for a query.
///
/// The fold is the only definition of the view: the projector, a rebuild, the read-your-writes overlay and the tests
/// all run this one.
pub trait Projection: Send + Sync + 'static {
    /// The events that are folded.
    type Event: Event;
    /// The document, stored with its fields as top-level attributes and answered as it is.
    type View: Clone + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// What it is called in logs and metrics.
    const NAME: &'static str;
    /// The view's field that identifies it: the key of its stream, and of its table.
    const KEY: &'static str;
    /// The number of the view's schema, from 1. Raise it with every change of [`evolve`](Self::evolve) or
    /// [`index`](Self::index), or of a rollup's contribution: a view of an older schema is folded anew.
    const SCHEMA: u32;

    /// The view after `recorded`; `None` is no view, before the first event or after one that ends it.
    fn evolve(view: Option<Self::View>, recorded: Recorded<'_, Self::Event>) -> Option<Self::View>;

    /// Attributes stored beside the view for the sake of an index alone; they are never read back into it.
    fn index(view: &Self::View) -> Vec<(&'static str, String)> {
        let _ = view;
        Vec::new()
    }

    /// The view after all of `commits`, from `view`.
    fn fold<'a>(
        view: Option<Self::View>,
        commits: impl IntoIterator<Item = &'a Commit<Self::Event>>,
    ) -> Option<Self::View> {
        commits.into_iter().flat_map(Commit::recorded).fold(view, Self::evolve)
    }
}
