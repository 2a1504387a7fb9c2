//! Checks the invariants after every write, over all projections.
//!
//! It reads all tables at one instant, without the network and the SDK.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use check::Reply;
use cqrs::{Counters, StreamId};
use local::{Engine, engine::interceptor::EngineCall};
use serde_json::{Value, json};

use crate::{
    commands::{ClientCommand, CommandLog},
    seeded_random::SeededRandom,
    stale_views,
    table_history::{TableHistory, counters_of_shards, is_stale, key_and_version},
    view_models::ViewModel,
};

/// Checks the tables of a run against the invariants.
pub struct InvariantChecker {
    engine: Engine,
    /// The table of the event store.
    events: Arc<str>,
    models: Vec<ViewModel>,
    history: Mutex<TableHistory>,
}

/// The error names the violated invariant.
type CheckResult = Result<(), String>;

impl InvariantChecker {
    /// Checks the views of these models.
    pub fn new(engine: Engine, events: Arc<str>, models: Vec<ViewModel>) -> Self {
        let mut history = TableHistory::default();
        let counters = models.iter().flat_map(|model| model.counters.values());
        history.counters.extend(counters.map(|table| (Arc::clone(table), vec![Counters::default()])));
        Self { engine, events, models, history: Mutex::new(history) }
    }

    /// Checks all tables.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check(&self, commands: &CommandLog) -> CheckResult {
        let mut history = self.history.lock().unwrap();
        history.check_commits(self.items(&self.events), commands)?;
        let mut contributions: BTreeMap<&Arc<str>, BTreeMap<u64, Counters>> = BTreeMap::new();
        for model in &self.models {
            for table in model.counters.values() {
                contributions.entry(table).or_default();
            }
            for ((name, generation), added) in history.check_views(model, self.items(&model.table))? {
                let table = contributions.entry(&model.counters[name]).or_default();
                *table.entry(generation).or_default() += &added;
            }
        }
        for (table, mut contributions) in contributions {
            let (active, mut counters) = counters_of_shards(&self.items(table));
            for (generation, is_served) in active.into_iter().zip([true, false]) {
                let counters = counters.remove(&generation).unwrap_or_default();
                let contributions = contributions.remove(&generation).unwrap_or_default();
                if counters != contributions {
                    return Err(format!(
                        "I8: the counters of generation {generation} in {table} are {counters:?}, but the \
                         contributions of the views add up to {contributions:?}"
                    ));
                }
                let states = history.counters.entry(Arc::clone(table)).or_default();
                if is_served && states.last() != Some(&counters) {
                    states.push(counters);
                }
            }
        }
        Ok(())
    }

    /// Checks all tables after the delivery of all records: each stream has a view at its head, and each view a stream.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check_at_rest(&self, commands: &CommandLog) -> CheckResult {
        self.check(commands)?;
        let history = self.history.lock().unwrap();
        for model in &self.models {
            let heads = history.heads(model.category);
            let views = self.items(&model.table);
            let views: BTreeMap<String, u64> = views.iter().map(|view| key_and_version(model, view)).collect();
            if let Some((key, head)) = heads.iter().find(|(key, head)| views.get(*key) != Some(head)) {
                let (name, version) = (model.name, views.get(key));
                return Err(format!("I6, I9: the view of {key} in {name} is at {version:?}, its stream at {head}"));
            }
            if views.len() != heads.len() {
                return Err(format!("I6: a view in {} has no stream", model.name));
            }
        }
        Ok(())
    }

    /// Checks that no view has an older schema version. Call it after all records were delivered again.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check_no_stale_views(&self) -> CheckResult {
        for model in &self.models {
            if let Some(view) = self.items(&model.table).iter().find(|view| is_stale(model, view)) {
                let key = key_and_version(model, view).0;
                return Err(format!("I6: the view of {key} in {} has an older schema version", model.name));
            }
        }
        Ok(())
    }

    /// Compares the reply to a command on a stream of this category with the tables.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check_reply(&self, category: &str, command: &ClientCommand, reply: &Reply) -> CheckResult {
        let history = self.history.lock().unwrap();
        let is_its_commit = |commit: &Value| commit["trace"] == *command.trace;
        match reply {
            Reply::Accepted { stream, version } => {
                let commit = history.commits.get(&(format!("{category}#{stream}"), *version));
                if !commit.is_some_and(is_its_commit) {
                    return Err(format!(
                        "I3: {} was accepted as {stream}@{version}, which is not its commit",
                        command.path
                    ));
                }
                match command.expected_version.filter(|expected| expected + 1 != *version) {
                    Some(expected) => Err(format!(
                        "I3: {} expected version {expected} and was accepted as version {version}",
                        command.path
                    )),
                    None => Ok(()),
                }
            }
            Reply::Refused(status) if history.commits.values().any(is_its_commit) => {
                Err(format!("I4: {} was refused with {status}, but has a commit", command.path))
            }
            Reply::Refused(_) | Reply::Unknown => Ok(()),
        }
    }

    /// All streams.
    pub fn streams(&self) -> Vec<StreamId> {
        let history = self.history.lock().unwrap();
        let names: BTreeSet<&String> = history.commits.keys().map(|(stream, _)| stream).collect();
        names.into_iter().map(|name| name.clone().try_into().unwrap()).collect()
    }

    pub fn commit_count(&self) -> usize {
        self.history.lock().unwrap().commits.len()
    }

    /// The fold of the first `version` commits of a stream, as a response shows it.
    pub fn view_at(&self, projection: &str, key: &str, version: u64) -> Option<Value> {
        let model = self.models.iter().find(|model| model.name == projection)?;
        let commits = self.history.lock().unwrap().commits(model, key, version)?;
        model.view(commits)
    }

    /// Replaces a random view by one of an older schema version. Does nothing without views.
    pub fn put_stale_view(&self, random: &SeededRandom) {
        let history = self.history.lock().unwrap();
        let views: Vec<(&'static str, &Value)> =
            history.views.iter().filter_map(|((name, _), states)| Some((*name, states.last()?))).collect();
        let Some((name, view)) = random.pick(&views) else { return };
        for model in self.models.iter().filter(|model| model.name == *name) {
            stale_views::put_stale_view(&self.engine, &model.table, view, &model.sorted_by);
        }
    }

    /// The number of states that the counters in this table had so far.
    pub fn counters_count(&self, table: &str) -> usize {
        self.history.lock().unwrap().counters.get(table).map_or(0, Vec::len)
    }

    /// Returns whether a state of the counters matches, from the state with number `since` on.
    pub fn any_counters_since(&self, table: &str, since: usize, matches: impl Fn(&Counters) -> bool) -> bool {
        let history = self.history.lock().unwrap();
        let states = history.counters.get(table).map(Vec::as_slice).unwrap_or_default();
        states.iter().skip(since.saturating_sub(1)).any(matches)
    }

    /// One of the last states of the view that `get` reads. `None` is the state before the first write.
    pub fn earlier_view(&self, get: &Value, random: &SeededRandom) -> Option<Value> {
        let model = self.models.iter().find(|model| get["TableName"] == *model.table)?;
        let key = get["Key"][model.key]["S"].as_str()?;
        let history = self.history.lock().unwrap();
        let states = history.views.get(&(model.name, key.to_owned()))?;
        let age = random.below(3) as usize;
        states.len().checked_sub(1 + age).map(|index| states[index].clone())
    }

    /// Returns whether `table` is that of the event store.
    pub fn is_events_table(&self, table: &Value) -> bool {
        *table == *self.events
    }

    fn items(&self, table: &str) -> Vec<Value> {
        let call = EngineCall { operation: "Scan".to_owned(), body: json!({ "TableName": table }) };
        let mut answer = self.engine.call_directly(&call).unwrap_or_default();
        match answer["Items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        }
    }
}
