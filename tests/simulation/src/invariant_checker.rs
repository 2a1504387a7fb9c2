//! Checks the invariants after every write.
//!
//! It reads all tables at one instant, without the network and the SDK.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use app::TableNames;
use check::Reply;
use cqrs::{Commit, Counters, Projection, Rollup, StoredCommit};
use jiff::Timestamp;
use local::{Engine, engine::interceptor::EngineCall};
use orders::{Dashboard, OrderEvent, OrderSummaries, OrderSummary};
use serde_json::{Map, Value, json};

use crate::{
    commands::{ClientCommand, CommandLog},
    seeded_random::SeededRandom,
    stale_views,
};

/// Checks the tables of a run against the invariants.
pub struct InvariantChecker {
    engine: Engine,
    tables: TableNames,
    history: Mutex<TableHistory>,
}

#[derive(Default)]
struct TableHistory {
    /// All commits, by order and version.
    commits: BTreeMap<(String, u64), Value>,
    /// All states of each view, as items, by order.
    views: BTreeMap<String, Vec<Value>>,
    /// All states of the totals.
    totals: Vec<Counters>,
}

/// The error names the violated invariant.
type CheckResult = Result<(), String>;

impl InvariantChecker {
    pub fn new(engine: Engine, tables: TableNames) -> Self {
        let totals = vec![Counters::default()];
        Self { engine, tables, history: Mutex::new(TableHistory { totals, ..TableHistory::default() }) }
    }

    /// Checks all tables.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check(&self, commands: &CommandLog) -> CheckResult {
        let mut history = self.history.lock().unwrap();
        history.check_commits(self.items(&self.tables.events), commands)?;
        let views = self.items(&self.tables.order_summaries);
        let contributions = history.check_views(views)?;
        let counters = counters_of_shards(&self.items(&self.tables.dashboard));
        if counters != contributions {
            return Err(format!(
                "I8: the counters are {counters:?}, but the contributions of the views add up to {contributions:?}"
            ));
        }
        let totals = row(&counters, Dashboard::TOTALS);
        if history.totals.last() != Some(&totals) {
            history.totals.push(totals);
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
        let heads: BTreeMap<&String, u64> = history.commits.keys().map(|(order, version)| (order, *version)).collect();
        let views = self.items(&self.tables.order_summaries);
        let views: BTreeMap<String, u64> = views.iter().map(key_and_version).collect();
        match heads.iter().find(|(order, head)| views.get(**order) != Some(head)) {
            Some((order, head)) => {
                Err(format!("I6, I9: the view of {order} is at version {:?}, its stream at {head}", views.get(*order)))
            }
            None if views.len() != heads.len() => Err("I6: a view has no stream".to_owned()),
            None => Ok(()),
        }
    }

    /// Checks that no view has an older schema version. Call it after all records were delivered again.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check_no_stale_views(&self) -> CheckResult {
        match self.items(&self.tables.order_summaries).iter().find(|view| is_stale(view)) {
            Some(view) => Err(format!("I6: the view of {} has an older schema version", key_and_version(view).0)),
            None => Ok(()),
        }
    }

    /// Compares the reply to a command with the tables.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check_reply(&self, command: &ClientCommand, reply: &Reply) -> CheckResult {
        let history = self.history.lock().unwrap();
        let is_its_commit = |commit: &Value| commit["trace"] == *command.trace;
        match reply {
            Reply::Accepted { stream: order, version } => {
                let commit = history.commits.get(&(order.clone(), *version));
                if !commit.is_some_and(is_its_commit) {
                    return Err(format!(
                        "I3: {} was accepted as {order}@{version}, which is not its commit",
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

    pub fn commit_count(&self) -> usize {
        self.history.lock().unwrap().commits.len()
    }

    /// The fold of the first `version` commits of the order, as a response shows it.
    pub fn view_at(&self, order: &str, version: u64) -> Option<Value> {
        let mut view = json(&self.history.lock().unwrap().fold(order, version)?);
        view["version"] = json!(version);
        Some(view)
    }

    /// Replaces a random view by one of an older schema version. Does nothing without views.
    pub fn put_stale_view(&self, random: &SeededRandom) {
        let views: Vec<Value> =
            self.history.lock().unwrap().views.values().filter_map(|states| states.last()).cloned().collect();
        if let Some(view) = random.pick(&views) {
            stale_views::put_stale_view(&self.engine, &self.tables.order_summaries, view);
        }
    }

    /// The number of states that the totals had so far.
    pub fn totals_count(&self) -> usize {
        self.history.lock().unwrap().totals.len()
    }

    /// Returns whether a state of the totals matches, from the state with number `since` on.
    pub fn any_totals_since(&self, since: usize, matches: impl Fn(&Counters) -> bool) -> bool {
        self.history.lock().unwrap().totals[since - 1..].iter().any(matches)
    }

    /// One of the last states of a view's item. `None` is the state before the first write.
    pub fn earlier_view(&self, order: &str, random: &SeededRandom) -> Option<Value> {
        let history = self.history.lock().unwrap();
        let states = history.views.get(order)?;
        let age = random.below(3) as usize;
        states.len().checked_sub(1 + age).map(|index| states[index].clone())
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

impl TableHistory {
    /// Checks I1 (versions are contiguous, and commits never change) and I2 (a command has at most one commit).
    fn check_commits(&mut self, items: Vec<Value>, commands: &CommandLog) -> CheckResult {
        let mut current = BTreeMap::new();
        for item in items {
            let commit = plain(&item);
            let stream = commit["stream"].as_str().unwrap_or_default();
            let order = stream.strip_prefix("order#").ok_or("I1: an item belongs to no order")?.to_owned();
            current.insert((order, commit["version"].as_u64().unwrap_or_default()), commit);
        }
        if let Some(changed) = self.commits.iter().find(|(key, commit)| current.get(key) != Some(commit)) {
            return Err(format!("I1: commit {:?} has changed or disappeared", changed.0));
        }
        if current.len() == self.commits.len() {
            return Ok(());
        }
        for ((order, version), commit) in current.iter().filter(|((_, version), _)| *version != 1) {
            let Some(before) = current.get(&(order.clone(), version - 1)) else {
                return Err(format!("I1: {order} has version {version} without its predecessor"));
            };
            if recorded_at(before) > recorded_at(commit) {
                return Err(format!("I1: version {version} of {order} has an earlier time than its predecessor"));
            }
        }
        let mut answered = BTreeSet::new();
        for ((order, version), commit) in &current {
            let trace = commit["trace"].as_str().unwrap_or_default();
            let key = commands.key_of(trace).map(|(caller, key)| format!("{caller} {key} {order}"));
            if !answered.insert(trace.to_owned()) || key.is_some_and(|key| !answered.insert(key)) {
                return Err(format!("I2: version {version} of {order} is the second commit of one command or key"));
            }
        }
        self.commits = current;
        Ok(())
    }

    /// Checks I6 (every view is the fold of a prefix of its stream) and I7 (its version never goes down).
    ///
    /// Returns the sum of the contributions.
    fn check_views(&mut self, items: Vec<Value>) -> Result<Counters, String> {
        let mut contributions = Counters::default();
        let current: BTreeSet<String> = items.iter().map(|item| key_and_version(item).0).collect();
        if let Some(missing) = self.views.keys().find(|order| !current.contains(*order)) {
            return Err(format!("I7: the view of {missing} disappeared"));
        }
        for item in items {
            let (order, version) = key_and_version(&item);
            // A parked stream without a view has an item that contains only the mark.
            let mut view = item.clone();
            let marks = view.as_object_mut().map(|view| ["parked", "parked_in"].map(|name| view.remove(name)));
            if version == 0 && marks.is_some_and(|[parked, _]| parked.is_some()) {
                continue;
            }
            let before = self.views.get(&order).and_then(|states| states.last());
            contributions += &counters(&plain(&item["contribution"]));
            if before == Some(&item) {
                continue;
            }
            let before = before.map_or(0, |before| key_and_version(before).1);
            if version < before {
                return Err(format!("I7: the view of {order} went from version {before} to {version}"));
            }
            if !is_stale(&item) && plain(&view) != self.item_at(&order, version) {
                return Err(format!("I6: the view of {order} is not the fold of {version} commits: {}", plain(&item)));
            }
            self.views.entry(order).or_default().push(item);
        }
        Ok(contributions)
    }

    /// The fold of the first `version` commits of the order.
    fn fold(&self, order: &str, version: u64) -> Option<OrderSummary> {
        let commits = self.commits.range((order.to_owned(), 1)..=(order.to_owned(), version));
        let commits: Vec<Commit<OrderEvent>> = commits
            .map(|(_, commit)| serde_json::from_value::<StoredCommit>(commit.clone()).unwrap().decode().unwrap())
            .collect();
        OrderSummaries::fold(None, &commits).filter(|_| commits.len() as u64 == version)
    }

    /// The fold of the first `version` commits of the order, as a stored item.
    fn item_at(&self, order: &str, version: u64) -> Value {
        let Some(view) = self.fold(order, version) else { return Value::Null };
        let mut item = json(&view);
        OrderSummaries::index(&view).into_iter().for_each(|(name, value)| item[name] = value.into());
        item["version"] = json!(version);
        item["schema"] = json!(OrderSummaries::SCHEMA);
        item["contribution"] = json(&Dashboard::contribution(&view));
        item
    }
}

fn recorded_at(commit: &Value) -> Option<Timestamp> {
    commit["recorded_at"].as_str()?.parse().ok()
}

fn json(document: &impl serde::Serialize) -> Value {
    serde_json::to_value(document).unwrap()
}

fn is_stale(view: &Value) -> bool {
    plain(&view["schema"]) != OrderSummaries::SCHEMA
}

fn key_and_version(view: &Value) -> (String, u64) {
    let view = plain(view);
    (view["order_id"].as_str().unwrap_or_default().to_owned(), view["version"].as_u64().unwrap_or_default())
}

fn counters_of_shards(shards: &[Value]) -> Counters {
    let mut all = Counters::default();
    for shard in shards {
        let mut columns = plain(shard);
        let row = columns["row"].take();
        columns.as_object_mut().unwrap().retain(|name, _| !["shard", "row"].contains(&name.as_str()));
        all += &counters(&json!({ row.as_str().unwrap_or_default(): columns }));
    }
    all
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

/// The counters of one row.
fn row(all: &Counters, row: &str) -> Counters {
    let mut one = Counters::default();
    all.iter().filter(|(name, ..)| *name == row).for_each(|(name, column, amount)| one.add(name, column, amount));
    one
}

/// Removes DynamoDB's type tags from an attribute or an item.
fn plain(typed: &Value) -> Value {
    let Some(fields) = typed.as_object() else { return Value::Null };
    match fields.iter().next().filter(|_| fields.len() == 1) {
        Some((tag, Value::String(text))) if tag == "S" => json!(text),
        Some((tag, Value::String(digits))) if tag == "N" => serde_json::from_str(digits).unwrap_or_default(),
        Some((tag, Value::Bool(bool))) if tag == "BOOL" => json!(bool),
        Some((tag, Value::Array(values))) if tag == "L" => values.iter().map(plain).collect(),
        Some((tag, map @ Value::Object(_))) if tag == "M" => plain_item(map),
        Some((tag, _)) if tag == "NULL" => Value::Null,
        _ => plain_item(typed),
    }
}

fn plain_item(item: &Value) -> Value {
    let fields = item.as_object().into_iter().flatten();
    Value::Object(fields.map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>())
}
