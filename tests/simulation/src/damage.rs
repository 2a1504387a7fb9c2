//! Damage that an operator repairs: events that are restored to an earlier moment, and tables of views or counters that
//! are lost or old.

use local::{Engine, engine::interceptor::EngineCall};
use serde_json::{Value, json};

use crate::seeded_random::SeededRandom;

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The events table is restored to an earlier moment. The read tables are not.
    EventsRestored,
    ViewsLost,
    /// Some views are earlier states of themselves.
    ViewsOld,
    CountersLost,
    /// All counters are of an earlier moment.
    CountersOld,
}

impl Damage {
    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventsRestored => "events restored to an earlier moment",
            Self::ViewsLost => "table of views lost",
            Self::ViewsOld => "table of views old",
            Self::CountersLost => "table of counters lost",
            Self::CountersOld => "table of counters old",
        }
    }

    /// Picks the damage of a run. A restore of the events is the most frequent.
    pub fn pick(random: &SeededRandom) -> Vec<Self> {
        let read_tables = [Self::ViewsLost, Self::ViewsOld, Self::CountersLost, Self::CountersOld];
        let mut damage = Vec::new();
        if random.happens(700) {
            damage.push(Self::EventsRestored);
        }
        if damage.is_empty() || random.happens(300) {
            damage.extend(random.pick(&read_tables));
        }
        damage
    }
}

/// The items of a table, read past the SDK.
pub(crate) fn items(engine: &Engine, table: &str) -> Vec<Value> {
    let mut answer = call(engine, "Scan", json!({ "TableName": table }));
    match answer["Items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

pub(crate) fn put(engine: &Engine, table: &str, item: &Value) {
    call(engine, "PutItem", json!({ "TableName": table, "Item": item }));
}

pub(crate) fn delete(engine: &Engine, table: &str, key: &Value) {
    call(engine, "DeleteItem", json!({ "TableName": table, "Key": key }));
}

/// Adds one to a counter of a shard.
pub(crate) fn add_one(engine: &Engine, table: &str, shard: &str) {
    let body = json!({
        "TableName": table,
        "Key": { "shard": { "S": shard }, "row": { "S": "totals" } },
        "UpdateExpression": "ADD #column :one",
        "ExpressionAttributeNames": { "#column": "orders" },
        "ExpressionAttributeValues": { ":one": { "N": "1" } },
    });
    call(engine, "UpdateItem", body);
}

/// Replaces all items of a table with these key attributes.
pub(crate) fn replace(engine: &Engine, table: &str, key: &[&str], new: &[Value]) {
    for item in items(engine, table) {
        let key: serde_json::Map<_, _> = key.iter().map(|name| ((*name).to_owned(), item[*name].clone())).collect();
        delete(engine, table, &Value::Object(key));
    }
    new.iter().for_each(|item| put(engine, table, item));
}

fn call(engine: &Engine, operation: &str, body: Value) -> Value {
    engine.call_directly(&EngineCall { operation: operation.to_owned(), body }).unwrap_or_default()
}
