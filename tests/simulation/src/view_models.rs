//! Models of the projections: the item that a view must be after each prefix of its stream.

use std::sync::Arc;

use cqrs::{Commit, Event, Projection, Rollup, StoredCommit};
use serde::Serialize;
use serde_json::{Value, json};

/// The model of one projection and its rollup.
#[derive(Clone, Debug)]
pub struct ViewModel {
    /// The name of the projection.
    pub name: &'static str,
    /// The table of the views.
    pub table: Arc<str>,
    /// The table of the counters.
    pub counters: Arc<str>,
    /// The category of the streams.
    pub category: &'static str,
    /// The attribute with the key of the stream.
    pub key: &'static str,
    pub schema: u32,
    fold: fn(Vec<StoredCommit>) -> Option<FoldedView>,
}

/// A view, folded from the first commits of its stream.
struct FoldedView {
    view: Value,
    index: Vec<(&'static str, String)>,
    contribution: Value,
}

impl ViewModel {
    pub fn of<P: Projection, R: Rollup<View = P::View>>(table: Arc<str>, counters: Arc<str>) -> Self {
        let (name, category, key, schema) = (P::NAME, P::Event::CATEGORY, P::KEY, P::SCHEMA);
        Self { name, table, counters, category, key, schema, fold: fold::<P, R> }
    }

    /// The view after these commits, as a response shows it. `None` if the fold gives no view.
    pub fn view(&self, commits: Vec<StoredCommit>) -> Option<Value> {
        let version = commits.len();
        let mut view = (self.fold)(commits)?.view;
        view["version"] = json!(version);
        Some(view)
    }

    /// The names of the attributes that only indexes need, in the item of the view after these commits.
    pub fn index(&self, commits: Vec<StoredCommit>) -> Vec<&'static str> {
        (self.fold)(commits).into_iter().flat_map(|folded| folded.index).map(|(name, _)| name).collect()
    }

    /// The view of a stream after these commits, as a stored item.
    pub fn item(&self, stream_key: &str, commits: Vec<StoredCommit>) -> Value {
        let version = commits.len();
        let folded = (self.fold)(commits);
        let none = || FoldedView { view: json!({}), index: Vec::new(), contribution: json!({}) };
        let FoldedView { view: mut item, index, contribution } = folded.unwrap_or_else(none);
        index.into_iter().for_each(|(name, value)| item[name] = value.into());
        item[self.key] = json!(stream_key);
        item["version"] = json!(version);
        item["schema"] = json!(self.schema);
        item["contribution"] = contribution;
        item
    }
}

fn fold<P: Projection, R: Rollup<View = P::View>>(commits: Vec<StoredCommit>) -> Option<FoldedView> {
    let commits: Vec<Commit<P::Event>> = commits.into_iter().map(|commit| commit.decode().unwrap()).collect();
    let view = P::fold(None, &commits)?;
    Some(FoldedView { index: P::index(&view), contribution: to_json(&R::contribution(&view)), view: to_json(&view) })
}

fn to_json(document: &impl Serialize) -> Value {
    serde_json::to_value(document).unwrap()
}
