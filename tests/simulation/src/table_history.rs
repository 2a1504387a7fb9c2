//! All states of the tables of a run, and the invariants that each new state must keep.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cqrs::{Counters, StoredCommit};
use cqrs_dynamodb::commit_item;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    commands::CommandLog,
    plain::{plain, sdk_item},
    view_models::ViewModel,
};

/// The attributes of a view's item that do not follow from the first commits of its stream alone.
const BOOKKEEPING: [&str; 6] = ["parked", "parked_in", "contribution", "counted", "rows", "instalments"];

/// All commits, views and counters so far.
#[derive(Default)]
pub(crate) struct TableHistory {
    /// By stream and version.
    pub(crate) commits: BTreeMap<(String, u64), Value>,
    /// All states of each view, as items, by projection and key of the stream.
    pub(crate) views: BTreeMap<(&'static str, String), Vec<Value>>,
    /// All states of the served counters, by table.
    pub(crate) counters: BTreeMap<Arc<str>, Vec<Counters>>,
    /// The served generation, by table of counters.
    pub(crate) serving: BTreeMap<Arc<str>, u64>,
    /// The generations that were served before, by table of counters.
    pub(crate) replaced: BTreeSet<(Arc<str>, u64)>,
    /// The highest generation so far.
    pub(crate) latest: u64,
    /// The generations up to this one are damaged. 0 without damage.
    pub(crate) damaged: u64,
    /// The last states of the items, by table of counters.
    pub(crate) counter_items: BTreeMap<Arc<str>, Vec<Vec<Value>>>,
    /// All commits in the order in which they were written.
    pub(crate) landed: Vec<(String, u64)>,
    /// The time of the first commit, by stream.
    pub(crate) began: BTreeMap<String, Instant>,
    /// The views that were folded from commits that a restore has removed, until they are folded anew.
    pub(crate) overtaken: BTreeSet<(&'static str, String)>,
}

/// The number of states of the items that are kept for each table of counters.
const COUNTER_STATES: usize = 8;

impl TableHistory {
    /// Checks I1 (versions are contiguous, and commits never change) and I2 (a command has at most one commit).
    pub(crate) fn check_commits(&mut self, items: Vec<Value>, commands: &CommandLog) -> Result<(), String> {
        let mut current = BTreeMap::new();
        for item in &items {
            let commit = plain(item);
            let stream = commit["stream"].as_str().ok_or("I1: an item belongs to no stream")?.to_owned();
            current.insert((stream, commit["version"].as_u64().unwrap_or_default()), commit);
        }
        if let Some(changed) = self.commits.iter().find(|(key, commit)| current.get(key) != Some(commit)) {
            return Err(format!("I1: commit {:?} has changed or disappeared", changed.0));
        }
        if current.len() == self.commits.len() {
            return Ok(());
        }
        for ((stream, version), commit) in current.iter().filter(|((_, version), _)| *version != 1) {
            let Some(before) = current.get(&(stream.clone(), version - 1)) else {
                return Err(format!("I1: {stream} has version {version} without its predecessor"));
            };
            if recorded_at(before) > recorded_at(commit) {
                return Err(format!("I1: version {version} of {stream} has an earlier time than its predecessor"));
            }
        }
        for item in &items {
            let commit = plain(item);
            let key = (commit["stream"].as_str().unwrap_or_default().to_owned(), commit["version"].as_u64());
            let is_known = key.1.is_some_and(|version| self.commits.contains_key(&(key.0, version)));
            if !is_known && commit_item::decode(sdk_item(item)).is_err() {
                return Err(format!("I1: a commit has another hash: {commit}"));
            }
        }
        for ((stream, version), commit) in &current {
            let before = current.get(&(stream.clone(), version - 1)).map_or(&Value::Null, |before| &before["hash"]);
            if commit["previous"] != *before {
                return Err(format!("I1: version {version} of {stream} does not continue its predecessor"));
            }
        }
        let mut answered = BTreeSet::new();
        for ((stream, version), commit) in &current {
            // A command of a process has no trace, and the commit of an instance has that of its source.
            if is_of_process(commit) {
                let command = commit["command_id"].as_str().unwrap_or_default();
                if !answered.insert(format!("{command} {stream}")) {
                    return Err(format!("I2: version {version} of {stream} is the second commit of one command"));
                }
                continue;
            }
            let trace = commit["trace"].as_str().unwrap_or_default();
            let key = commands.key_of(trace).map(|(caller, key)| format!("{caller} {key} {stream}"));
            if !answered.insert(trace.to_owned()) || key.is_some_and(|key| !answered.insert(key)) {
                return Err(format!("I2: version {version} of {stream} is the second commit of one command or key"));
            }
        }
        for key in current.keys().filter(|key| !self.commits.contains_key(*key)) {
            self.landed.push(key.clone());
            self.began.entry(key.0.clone()).or_insert_with(Instant::now);
        }
        self.commits = current;
        Ok(())
    }

    /// Keeps the state of the items of a table of counters.
    pub(crate) fn keep_counter_items(&mut self, table: &Arc<str>, items: Vec<Value>) {
        let states = self.counter_items.entry(Arc::clone(table)).or_default();
        if states.last() != Some(&items) {
            if states.len() == COUNTER_STATES {
                states.remove(0);
            }
            states.push(items);
        }
    }

    /// Keeps the active generations of a table of counters, the served one first. Returns whether another one is served.
    pub(crate) fn keep_generations(&mut self, table: &Arc<str>, active: &[u64]) -> bool {
        self.latest = active.iter().fold(self.latest, |latest, generation| latest.max(*generation));
        let before = self.serving.insert(Arc::clone(table), active[0]).filter(|before| *before != active[0]);
        self.replaced.extend(before.map(|before| (Arc::clone(table), before)));
        self.replaced.remove(&(Arc::clone(table), active[0]));
        before.is_some()
    }

    /// Returns whether a served generation is damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.serving.values().any(|generation| *generation <= self.damaged)
    }

    /// Checks I8: a view is counted in the served generations, and not again in one that was replaced.
    fn check_counted(&self, model: &ViewModel, key: &str, view: &Value, before: Option<&Value>) -> Result<(), String> {
        for (name, table) in &model.counters {
            let serving = self.serving[table];
            if serving <= self.damaged {
                continue;
            }
            if !model.is_counted(view, name, serving) {
                return Err(format!("I8: the view of {key} in {} is not counted in {serving} of {name}", model.name));
            }
            let is_again = |(_, generation): &&(Arc<str>, u64)| {
                let is_counted = |view: &Value| model.is_counted(view, name, *generation);
                is_counted(view) && before.is_some_and(|before| !is_counted(&plain(before)))
            };
            if let Some((_, generation)) = self.replaced.iter().filter(|(of, _)| of == table).find(is_again) {
                return Err(format!(
                    "I8: the view of {key} in {} is counted again in {generation} of {name}, which was replaced",
                    model.name
                ));
            }
        }
        Ok(())
    }

    /// Checks I6 (every view is the fold of a prefix of its stream), I7 (its version never goes down), and I8 (it is
    /// counted once).
    ///
    /// Returns the sum of contributions and counted events, by table of counters and generation.
    pub(crate) fn check_views(
        &mut self,
        model: &ViewModel,
        items: Vec<Value>,
    ) -> Result<BTreeMap<(&'static str, u64), Counters>, String> {
        let mut added: BTreeMap<(&'static str, u64), Counters> = BTreeMap::new();
        let current: BTreeSet<String> = items.iter().map(|item| key_and_version(model, item).0).collect();
        let missing = |(projection, key): &(&'static str, String)| *projection == model.name && !current.contains(key);
        let overtaken = std::mem::take(&mut self.overtaken);
        let (removed, overtaken) = overtaken.into_iter().partition(missing);
        self.overtaken = overtaken;
        self.views.retain(|view, _| !removed.contains(view));
        if let Some((_, missing)) = self.views.keys().find(|view| missing(view)) {
            return Err(format!("I7: the view of {missing} in {} disappeared", model.name));
        }
        for item in items {
            let (key, version) = key_and_version(model, &item);
            let mut view = item.clone();
            view.as_object_mut().unwrap().retain(|name, _| !BOOKKEEPING.contains(&name.as_str()));
            let stored = plain(&item);
            for table in model.counters.keys() {
                for (generation, contribution) in generations(&stored["contribution"][table]) {
                    *added.entry((table, generation)).or_default() += &counters(contribution);
                }
            }
            let first_commits = |version| self.commits(model, &key, version).unwrap_or_default();
            for (tally, count) in model.tallies() {
                for (generation, counted) in generations(&stored["counted"][tally.name]) {
                    let counted = counted.as_u64().unwrap_or_default();
                    *added.entry((tally.table, generation)).or_default() += &count(first_commits(counted));
                }
            }
            // An item of version 0 has no view: its stream is parked, or its first view is written in instalments.
            if version == 0 && (item.get("parked").is_some() || item.get("instalments").is_some()) {
                continue;
            }
            let before = self.views.get(&(model.name, key.clone())).and_then(|states| states.last());
            if item.get("instalments").is_none() {
                self.check_counted(model, &key, &stored, before)?;
            }
            if before == Some(&item) {
                continue;
            }
            let before = before.map_or(0, |before| key_and_version(model, before).1);
            let is_overtaken = self.overtaken.contains(&(model.name, key.clone()));
            if version < before && !is_overtaken {
                return Err(format!("I7: the view of {key} in {} went from {before} to {version}", model.name));
            }
            let is_fold = || {
                let commits = self.commits(model, &key, version)?;
                // Between two instalments, the bookkeeping is ahead of the view.
                let contribution = model.contribution(commits.clone());
                let is_contribution = |table: &str| {
                    let mut stored = generations(&stored["contribution"][table]).map(|(_, rows)| counters(rows));
                    stored.all(|counters| contribution.get(table).cloned().unwrap_or_default() == counters)
                };
                let has_contribution =
                    item.get("instalments").is_some() || model.counters.keys().all(|table| is_contribution(table));
                Some(has_contribution && model.item(&key, commits) == plain(&view))
            };
            if is_stale(model, &item) {
                self.views.entry((model.name, key)).or_default().push(item);
                continue;
            }
            if is_fold() != Some(true) {
                if is_overtaken {
                    continue;
                }
                return Err(format!(
                    "I6: the view of {key} in {} is not the fold of {version} commits: {}",
                    model.name,
                    plain(&item)
                ));
            }
            if self.overtaken.remove(&(model.name, key.clone())) {
                // No query may show the states before the restore.
                self.views.remove(&(model.name, key.clone()));
            }
            self.views.entry((model.name, key)).or_default().push(item);
        }
        Ok(added)
    }

    /// The first `version` commits of a stream. `None` if there are fewer.
    pub(crate) fn commits(&self, model: &ViewModel, key: &str, version: u64) -> Option<Vec<StoredCommit>> {
        if version == 0 {
            return Some(Vec::new());
        }
        let stream = format!("{}#{key}", model.category);
        let commits = self.commits.range((stream.clone(), 1)..=(stream, version));
        let commits: Vec<StoredCommit> =
            commits.map(|(_, commit)| serde_json::from_value(commit.clone()).unwrap()).collect();
        Some(commits).filter(|commits| commits.len() as u64 == version)
    }

    /// The version of each stream of a category, by the key of the stream.
    pub(crate) fn heads(&self, category: &str) -> BTreeMap<String, u64> {
        let of_category = |((stream, version), _): (&(String, u64), &Value)| {
            let key = stream.strip_prefix(category)?.strip_prefix('#')?;
            Some((key.to_owned(), *version))
        };
        self.commits.iter().filter_map(of_category).collect()
    }
}

/// Returns whether a process wrote this commit: that of an instance, or that of a command of it.
pub(crate) fn is_of_process(commit: &Value) -> bool {
    commit["caller"].as_str().is_some_and(|caller| caller.starts_with("process:"))
}

fn recorded_at(commit: &Value) -> Option<Timestamp> {
    commit["recorded_at"].as_str()?.parse().ok()
}

pub(crate) fn is_stale(model: &ViewModel, view: &Value) -> bool {
    plain(&view["schema"]) != model.schema
}

/// The key of the view's stream, and the version of the view.
pub(crate) fn key_and_version(model: &ViewModel, view: &Value) -> (String, u64) {
    let view = plain(view);
    (view[model.key].as_str().unwrap_or_default().to_owned(), view["version"].as_u64().unwrap_or_default())
}

/// The active generations of a table of counters, the served one first, and the counters of all generations.
pub(crate) fn counters_of_shards(shards: &[Value]) -> (Vec<u64>, BTreeMap<u64, Counters>) {
    let (mut active, mut all) = (vec![1], BTreeMap::<u64, Counters>::new());
    for shard in shards {
        let mut columns = plain(shard);
        let (shard, row) = (columns["shard"].take(), columns["row"].take());
        let Some((generation, _)) = shard.as_str().unwrap_or_default().split_once('#') else {
            active = [&columns["serving"], &columns["building"]].into_iter().filter_map(Value::as_u64).collect();
            continue;
        };
        columns.as_object_mut().unwrap().retain(|name, _| !["shard", "row"].contains(&name.as_str()));
        let generation = generation.parse().unwrap();
        *all.entry(generation).or_default() += &counters(&json!({ row.as_str().unwrap_or_default(): columns }));
    }
    (active, all)
}

/// The entries of an attribute by generation.
fn generations(attribute: &Value) -> impl Iterator<Item = (u64, &Value)> {
    let entries = attribute.as_object().into_iter().flatten();
    entries.map(|(generation, value)| (generation.parse().unwrap(), value))
}

/// Parses counters, by row and column.
fn counters(rows: &Value) -> Counters {
    let mut counters = Counters::default();
    for (row, columns) in rows.as_object().into_iter().flatten() {
        for (column, amount) in columns.as_object().into_iter().flatten() {
            counters.add(row, column, amount.as_i64().unwrap_or_default().into());
        }
    }
    counters
}
