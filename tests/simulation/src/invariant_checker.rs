//! Checks the invariants after every write, over all projections.
//!
//! It reads all tables at one instant, without the network and the SDK.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use check::Reply;
use cqrs::{Counters, StoredCommit, StreamId};
use local::Engine;
use serde_dynamo::AttributeValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    commands::{ClientCommand, CommandLog},
    damage::{self, Damage},
    plain::plain,
    seeded_random::SeededRandom,
    stale_views,
    table_history::{TableHistory, counters_of_shards, is_of_process, is_stale, key_and_version},
    view_models::ViewModel,
    world::World,
};

/// Checks the tables of a run against the invariants.
pub struct InvariantChecker {
    engine: Engine,
    /// The table of the event store.
    events: Arc<str>,
    models: Vec<ViewModel>,
    history: Mutex<TableHistory>,
    /// The number of commits at the time of a restore, if there was one.
    restored_at: Mutex<Option<usize>>,
    /// The time at which another generation of counters was served.
    switched_at: Mutex<Option<Instant>>,
}

/// The time after which all processes read the served generation: five seconds, and jumps of the clock.
const SWITCH_TIME: Duration = Duration::from_secs(40);

/// The time after which a scan finds a new stream.
const SCAN_DELAY: Duration = Duration::from_secs(3);

/// The error names the violated invariant.
type CheckResult = Result<(), String>;

impl InvariantChecker {
    /// Checks the views of these models.
    pub fn new(engine: Engine, events: Arc<str>, models: Vec<ViewModel>) -> Self {
        let mut history = TableHistory::default();
        let counters = models.iter().flat_map(|model| model.counters.values());
        history.counters.extend(counters.map(|table| (Arc::clone(table), vec![Counters::default()])));
        let history = Mutex::new(history);
        Self { engine, events, models, history, restored_at: Mutex::default(), switched_at: Mutex::default() }
    }

    /// Checks all tables.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check(&self, commands: &CommandLog) -> CheckResult {
        let mut history = self.history.lock().unwrap();
        history.check_commits(self.items(&self.events), commands)?;
        let tables: BTreeSet<&Arc<str>> = self.models.iter().flat_map(|model| model.counters.values()).collect();
        let mut counters_of_tables = BTreeMap::new();
        for table in tables {
            let items = self.items(table);
            let (active, counters) = counters_of_shards(&items);
            history.keep_counter_items(table, items);
            if history.keep_generations(table, &active) {
                *self.switched_at.lock().unwrap() = Some(Instant::now());
            }
            counters_of_tables.insert(table, (active, counters));
        }
        let mut contributions: BTreeMap<&Arc<str>, BTreeMap<u64, Counters>> = BTreeMap::new();
        for model in &self.models {
            for ((name, generation), added) in history.check_views(model, self.items(&model.table))? {
                let table = contributions.entry(&model.counters[name]).or_default();
                *table.entry(generation).or_default() += &added;
            }
        }
        for (table, (active, mut counters)) in counters_of_tables {
            let mut contributions = contributions.remove(table).unwrap_or_default();
            for (generation, is_served) in active.into_iter().zip([true, false]) {
                if generation <= history.damaged {
                    continue;
                }
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

    /// Checks that a restore has left no wrong view of a stream that has had a commit since, after the delivery of all
    /// records.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check_streams_since_restore(&self, commands: &CommandLog) -> CheckResult {
        self.check(commands)?;
        let history = self.history.lock().unwrap();
        let Some(restored_at) = *self.restored_at.lock().unwrap() else { return Ok(()) };
        for model in &self.models {
            for (stream, version) in history.landed.iter().skip(restored_at) {
                let key = stream.strip_prefix(model.category).and_then(|key| key.strip_prefix('#'));
                let Some(key) = key.filter(|key| history.overtaken.contains(&(model.name, (*key).to_owned()))) else {
                    continue;
                };
                return Err(format!("I6: the view of {key} in {} swallowed version {version}", model.name));
            }
        }
        Ok(())
    }

    /// Damages the tables. Returns the streams that remain, with their versions.
    pub fn inflict(&self, damage: Damage, world: &World) -> BTreeMap<String, u64> {
        let history = &mut *self.history.lock().unwrap();
        let random = &world.random;
        world.trace.count(damage.name());
        match damage {
            Damage::EventsRestored => self.restore_events(history, world),
            Damage::ViewsLost | Damage::ViewsOld => {
                for model in &self.models {
                    let mut old = Vec::new();
                    for ((_, key), states) in history.views.iter_mut().filter(|((name, _), _)| *name == model.name) {
                        let lost = damage == Damage::ViewsLost || random.happens(200);
                        let state = states[random.below(states.len() as u64) as usize].clone();
                        states.clear();
                        if !lost && !history.overtaken.contains(&(model.name, key.clone())) {
                            old.push(state.clone());
                            states.push(state);
                        }
                    }
                    history.views.retain(|(name, _), states| *name != model.name || !states.is_empty());
                    history.overtaken.retain(|(name, _)| *name != model.name);
                    damage::replace(&self.engine, &model.table, &[model.key], &old);
                }
                history.damaged = history.latest;
            }
            Damage::CountersLost | Damage::CountersOld => {
                for (table, states) in &history.counter_items {
                    let state = random.pick(states).filter(|_| damage == Damage::CountersOld);
                    damage::replace(&self.engine, table, &["shard", "row"], state.map_or(&[], Vec::as_slice));
                }
                history.damaged = history.latest;
            }
        }
        history.commits.keys().map(|(stream, version)| (stream.clone(), *version)).collect()
    }

    /// Removes the last commits. Marks the views that were folded from them.
    fn restore_events(&self, history: &mut TableHistory, world: &World) {
        let kept = history.landed.len() as u64;
        let kept = (kept - world.random.below(1 + kept / 2)) as usize;
        let mut traces = BTreeSet::new();
        for lost in history.landed.split_off(kept) {
            let (stream, version) = &lost;
            let key = json!({ "stream": { "S": stream }, "version": { "N": version.to_string() } });
            damage::delete(&self.engine, &self.events, &key);
            if *version == 1 {
                history.began.remove(stream);
            }
            let commit = history.commits.remove(&lost).unwrap();
            let hash = serde_json::from_value::<Vec<u8>>(commit["hash"].clone()).unwrap();
            let hash = serde_json::to_value(AttributeValue::B(hash)).unwrap();
            world.lost_commits.lock().unwrap().insert(hash.to_string());
            traces.extend(commit["trace"].as_str().filter(|_| !is_of_process(&commit)).map(str::to_owned));
        }
        world.commands.forget(&traces);
        world.signalled.lock().unwrap().clear();
        *self.restored_at.lock().unwrap() = Some(kept);
        for model in &self.models {
            for view in self.items(&model.table) {
                let (key, version) = key_and_version(model, &view);
                let head = history.commits(model, &key, version).and_then(|commits| commits.last()?.hash);
                let hash = serde_json::to_value(head).unwrap();
                if version > 0 && plain(&view)["hash"] != hash {
                    history.overtaken.insert((model.name, key));
                }
            }
        }
    }

    /// Changes a number in the generation of counters that is being built, if there is one.
    pub fn change_building_counters(&self, world: &World) {
        let mut history = self.history.lock().unwrap();
        let tables: BTreeSet<&Arc<str>> = self.models.iter().flat_map(|model| model.counters.values()).collect();
        for table in tables {
            let (active, _) = counters_of_shards(&self.items(table));
            if let Some(building) = active.get(1) {
                damage::add_one(&self.engine, table, &format!("{building}#0"));
                history.damaged = history.damaged.max(*building);
                world.trace.count("counters changed while they are built");
            }
        }
    }

    /// Ends the exemptions for damaged tables.
    pub fn repaired(&self) {
        self.history.lock().unwrap().damaged = 0;
    }

    /// Returns whether a process may not know yet that other counters are served.
    pub fn has_just_switched(&self) -> bool {
        self.switched_at.lock().unwrap().is_some_and(|switched_at| switched_at.elapsed() < SWITCH_TIME)
    }

    /// Returns whether queries may show wrong views or counters, because of damage that is not repaired.
    pub fn is_damaged(&self) -> bool {
        let history = self.history.lock().unwrap();
        history.is_damaged() || !history.overtaken.is_empty()
    }

    /// The streams that began last, and that a scan may not find yet.
    pub fn recent_streams(&self, number: usize) -> BTreeSet<String> {
        let history = self.history.lock().unwrap();
        let mut began: Vec<_> = history.began.iter().filter(|(_, at)| at.elapsed() < SCAN_DELAY).collect();
        began.sort_by_key(|(_, at)| at.elapsed());
        began.into_iter().take(number).map(|(stream, _)| stream.clone()).collect()
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
        let is_its_commit = |commit: &Value| commit["trace"] == *command.trace && !is_of_process(commit);
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

    /// The commits of each stream, in order.
    pub fn commits_of_streams(&self) -> Vec<Vec<StoredCommit>> {
        let history = self.history.lock().unwrap();
        let mut streams: BTreeMap<&str, Vec<StoredCommit>> = BTreeMap::new();
        for ((stream, _), commit) in &history.commits {
            streams.entry(stream).or_default().push(serde_json::from_value(commit.clone()).unwrap());
        }
        streams.into_values().collect()
    }

    /// Returns whether the events table was restored to an earlier moment.
    pub fn is_restored(&self) -> bool {
        self.restored_at.lock().unwrap().is_some()
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
            let view = match random.happens(500) {
                true => stale_views::without(view, &model.sorted_by),
                false => stale_views::with_other_nested_numbers(view),
            };
            stale_views::put_stale_view(&self.engine, &model.table, view);
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
        damage::items(&self.engine, table)
    }
}
