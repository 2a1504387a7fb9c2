//! Models of the projections: the item that a view must be after each prefix of its stream, and what the stream adds to
//! the tables of counters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use app::Tables;
use cqrs::{Commit, Counters, Event, Projection, ReadModel, ReadModels, StoredCommit};
use serde::Serialize;
use serde_json::{Value, json};

/// The model of one projection with its rollups and tallies. The simulation does not compare rows.
#[derive(Clone)]
pub struct ViewModel {
    /// The name of the projection.
    pub name: &'static str,
    /// The table of the views.
    pub table: Arc<str>,
    /// The tables of the counters, by declared name.
    pub counters: BTreeMap<&'static str, Arc<str>>,
    /// The category of the streams.
    pub category: &'static str,
    /// The attribute with the key of the stream.
    pub key: &'static str,
    pub schema: u32,
    /// The fields of the view that the indexes sort by.
    pub sorted_by: Vec<&'static str>,
    /// The tables that rollups count into.
    rollup_tables: BTreeSet<&'static str>,
    fold: Arc<dyn Fn(Vec<StoredCommit>) -> FoldedView + Send + Sync>,
    tallies: Vec<TallyModel>,
}

/// A view, folded from the first commits of its stream.
struct FoldedView {
    view: Option<Value>,
    /// By table of counters.
    contribution: BTreeMap<&'static str, Counters>,
}

/// A tally without its type.
#[derive(Clone)]
pub(crate) struct TallyModel {
    pub(crate) name: &'static str,
    pub(crate) table: &'static str,
    count: CountCommits,
}

/// Counts commits with a tally.
type CountCommits = Arc<dyn Fn(Vec<StoredCommit>) -> Counters + Send + Sync>;

/// Builds the models of all read models.
pub struct ViewModels<'a> {
    tables: &'a Tables,
    models: Vec<ViewModel>,
}

impl<'a> ViewModels<'a> {
    /// Starts without models. `tables` has the deployed names of all declared tables.
    pub fn new(tables: &'a Tables) -> Self {
        Self { tables, models: Vec::new() }
    }

    pub fn build(self) -> Vec<ViewModel> {
        self.models
    }
}

impl ReadModels for ViewModels<'_> {
    fn add<P: Projection>(mut self, model: ReadModel<P>) -> Self {
        let table = |name: &str| self.tables.get(name).unwrap();
        let rollups: Vec<_> = model.rollups().iter().map(|rollup| (rollup.table, rollup.contribution)).collect();
        let tallies: Vec<_> =
            model.tallies().iter().map(|tally| tally_model::<P>(tally.name, tally.table, tally.count)).collect();
        let counters = rollups.iter().map(|(name, _)| *name).chain(tallies.iter().map(|tally| tally.table));
        self.models.push(ViewModel {
            name: P::NAME,
            table: table(P::NAME),
            counters: counters.map(|name| (name, table(name))).collect(),
            category: P::Event::CATEGORY,
            key: P::KEY,
            schema: P::SCHEMA,
            sorted_by: P::INDEXES.iter().flat_map(|index| index.sort).copied().collect(),
            rollup_tables: rollups.iter().map(|(name, _)| *name).collect(),
            fold: Arc::new(move |commits| fold::<P>(commits, &rollups)),
            tallies,
        });
        self
    }
}

impl ViewModel {
    /// The view after these commits, as a response shows it. `None` if the fold gives no view.
    pub fn view(&self, commits: Vec<StoredCommit>) -> Option<Value> {
        let version = commits.len();
        let mut view = (self.fold)(commits).view?;
        view["version"] = json!(version);
        Some(view)
    }

    /// The view of a stream after these commits, as a stored item without its bookkeeping.
    pub fn item(&self, stream_key: &str, commits: Vec<StoredCommit>) -> Value {
        let version = commits.len();
        let hash = commits.last().and_then(|head| head.hash);
        let mut item = (self.fold)(commits).view.unwrap_or_else(|| json!({}));
        item["hash"] = to_json(&hash);
        item[self.key] = json!(stream_key);
        item["version"] = json!(version);
        item["schema"] = json!(self.schema);
        item
    }

    /// The contribution of the view after these commits, by table of counters.
    pub fn contribution(&self, commits: Vec<StoredCommit>) -> BTreeMap<&'static str, Counters> {
        (self.fold)(commits).contribution
    }

    /// Returns whether the rollups and tallies of a table have counted a stored view in a generation.
    pub(crate) fn is_counted(&self, view: &Value, table: &str, generation: u64) -> bool {
        let generation = generation.to_string();
        let in_rollups = !self.rollup_tables.contains(table) || view["contribution"][table].get(&generation).is_some();
        let mut tallies = self.tallies.iter().filter(|tally| tally.table == table);
        in_rollups && tallies.all(|tally| view["counted"][tally.name][&generation].as_u64() >= view["version"].as_u64())
    }

    /// The tallies of the projection, each with the function that counts commits.
    pub(crate) fn tallies(&self) -> impl Iterator<Item = (&TallyModel, &CountCommits)> {
        self.tallies.iter().map(|tally| (tally, &tally.count))
    }
}

/// The table of a rollup, and the contribution of a view.
type RollupModel<V> = (&'static str, fn(&V) -> Counters);

fn fold<P: Projection>(commits: Vec<StoredCommit>, rollups: &[RollupModel<P::View>]) -> FoldedView {
    let commits = decoded::<P>(commits);
    let view = P::fold(None, &commits);
    let mut contribution: BTreeMap<&'static str, Counters> = BTreeMap::new();
    for (table, contribution_of) in rollups {
        if let Some(view) = &view {
            *contribution.entry(*table).or_default() += &contribution_of(view);
        }
    }
    FoldedView { view: view.as_ref().map(to_json), contribution }
}

fn tally_model<P: Projection>(
    name: &'static str,
    table: &'static str,
    count: fn(cqrs::Recorded<'_, P::Event>) -> Counters,
) -> TallyModel {
    let count = move |commits| {
        let mut counters = Counters::default();
        decoded::<P>(commits).iter().flat_map(Commit::recorded).for_each(|event| counters += &count(event));
        counters
    };
    TallyModel { name, table, count: Arc::new(count) }
}

fn decoded<P: Projection>(commits: Vec<StoredCommit>) -> Vec<Commit<P::Event>> {
    commits.into_iter().map(|commit| commit.decode().unwrap()).collect()
}

fn to_json(document: &impl Serialize) -> Value {
    serde_json::to_value(document).unwrap()
}
