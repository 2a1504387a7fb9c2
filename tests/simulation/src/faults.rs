//! Faults between the SDK and the tables: those of `--chaos`, and others that only a simulation can produce.

use std::sync::Arc;

use cqrs_dynamodb::commit_item;
use local::{
    chaos::Chaos,
    engine::interceptor::{EngineCall, Fault, Interceptor, MessageFault},
    messaging::event_bus::RoutedMessage,
};
use serde_dynamo::AttributeValue;
use serde_json::{Value, json};

use crate::{Mutation, invariant_checker::InvariantChecker, plain::sdk_item, signals, world::World};

/// The time of a commit after [`change`].
const CHANGED_TIME: &str = "2026-11-22T10:00:00.000007Z";

/// The interceptor of a simulation. It checks the invariants right after each write.
pub struct Faults {
    pub chaos: Arc<Chaos>,
    pub world: Arc<World>,
    pub checker: Arc<InvariantChecker>,
    pub mutation: Option<Mutation>,
    /// The name of the queue of signals, if the process function runs.
    pub signals: Option<String>,
}

impl Interceptor for Faults {
    fn before(&self, call: &mut EngineCall) -> Fault {
        if let Some(mutation) = self.mutation {
            mutation.apply(&call.operation, &mut call.body);
        }
        let fault = self.chaos.before(call);
        if fault != Fault::None {
            return fault;
        }
        let world = &self.world;
        match call.operation.as_str() {
            // Queries of an index have a limit already.
            "Query" if call.body["Limit"].is_null() && world.inject("page of one item", 300) => {
                call.body["Limit"] = json!(1);
                Fault::None
            }
            "TransactGetItems" if world.inject("read conflict with a transaction", 60) => Fault::Conflict,
            "TransactWriteItems" if world.inject("transaction conflict", 50) => Fault::Conflict,
            "PutItem" | "TransactWriteItems" if world.inject("write landed and response timed out", 10) => {
                Fault::ResponseTimeout
            }
            "PutItem" | "TransactWriteItems" | "GetItem" | "Query" | "BatchGetItem"
                if world.inject("request timed out", 10) =>
            {
                Fault::RequestTimeout
            }
            "CreateSchedule" if world.inject("schedule denied", 150) => Fault::AccessDenied,
            _ => Fault::None,
        }
    }

    fn before_message(&self, message: &RoutedMessage) -> MessageFault {
        if self.signals.as_ref() != Some(&message.queue) {
            return MessageFault::None;
        }
        if self.world.inject("signal lost", 150) {
            return MessageFault::Dropped;
        }
        self.world.signalled.lock().unwrap().extend(signals::stream_of(&message.body));
        if self.world.inject("signal doubled", 100) { MessageFault::Doubled } else { MessageFault::None }
    }

    fn after(&self, call: &EngineCall, response: &mut Value) {
        let (body, world) = (&call.body, &self.world);
        match call.operation.as_str() {
            "PutItem" | "UpdateItem" | "TransactWriteItems" => {
                if let Err(violation) = self.checker.check(&world.commands) {
                    world.trace.report_violation(violation);
                }
            }
            "GetItem" if body["ConsistentRead"] != true && world.inject("stale view", 100) => {
                *response = match self.checker.earlier_view(body, &world.random) {
                    Some(item) => json!({ "Item": item }),
                    None => json!({}),
                };
            }
            "Query" if self.checker.is_events_table(&body["TableName"]) => self.alter_stream_read(body, response),
            "Scan" if self.checker.is_events_table(&body["TableName"]) && world.inject("stale scan", 300) => {
                let recent = self.checker.recent_streams(3);
                if let Some(items) = response["Items"].as_array_mut() {
                    items.retain(|item| !recent.contains(item["stream"]["S"].as_str().unwrap_or_default()));
                }
            }
            "BatchGetItem" if is_eventual(body) && world.inject("stale position of the publisher", 100) => {
                *response = json!({ "Responses": {} });
            }
            "BatchGetItem" if world.inject("keys left unprocessed", 50) => {
                *response = json!({ "Responses": {}, "UnprocessedKeys": body["RequestItems"] });
            }
            _ => {}
        }
    }
}

/// Returns whether a `BatchGetItem` reads with eventual consistency.
fn is_eventual(body: &Value) -> bool {
    let tables = body["RequestItems"].as_object();
    tables.is_some_and(|tables| tables.values().all(|table| table["ConsistentRead"] != true))
}

/// Gives the first event of a stored commit an unknown type, as newer code would write it.
pub fn make_event_unknown(commit: &mut Value) {
    let Some(Value::String(name)) = commit.pointer_mut("/events/L/0/M/type/S") else { return };
    name.push_str("-foretold");
    seal(commit);
}

/// Gives a commit the hash of its content.
fn seal(commit: &mut Value) {
    let hash = commit_item::hash_of(&sdk_item(commit));
    commit["hash"] = serde_json::to_value(AttributeValue::B(hash.as_bytes().to_vec())).unwrap();
}

/// Changes the content of a commit, but not its hash.
fn change(commit: &mut Value) {
    let texts = ["currency", "carrier", "reason"].map(|name| format!("/events/L/0/M/data/M/{name}/S"));
    let text = texts.iter().find(|text| commit.pointer(text).is_some()).cloned();
    if let Some(value) = commit.pointer_mut(&text.unwrap_or_else(|| "/recorded_at/S".to_owned())) {
        *value = if value.as_str().is_some_and(|text| text.len() > 20) { json!(CHANGED_TIME) } else { json!("JPY") };
    }
}

impl Faults {
    /// Removes the last commit from an eventually consistent read of a stream. Removes, changes or replaces a commit of
    /// any other read, or gives it an event of newer code.
    fn alter_stream_read(&self, body: &Value, response: &mut Value) {
        let Some(items) = response["Items"].as_array_mut() else { return };
        let unreadable = self.world.unreadable.lock().unwrap().clone();
        let is_unreadable = |commit: &&mut Value| commit["stream"]["S"].as_str() == unreadable.as_deref();
        if let Some(commit) = items.last_mut().filter(is_unreadable) {
            change(commit);
        } else if body["ConsistentRead"] != true && !items.is_empty() {
            if self.world.inject("stale stream", 200) {
                items.pop();
            }
        } else if items.len() > 1 && self.world.inject("commit missing from a stream", 100) {
            items.remove(self.world.random.below(items.len() as u64 - 1) as usize);
        } else if items.len() > 2 && self.world.inject("commit replaced in a response", 60) {
            // Two commits follow the replaced one. With fewer, the reader cannot tell which of the two was replaced.
            let index = self.world.random.below(items.len() as u64 - 2) as usize;
            change(&mut items[index]);
            seal(&mut items[index]);
        } else if let Some(commit) = items.last_mut().filter(|_| self.world.inject("event unknown to its reader", 20)) {
            make_event_unknown(commit);
        } else if let Some(commit) = items.last_mut().filter(|_| self.world.inject("commit changed in a response", 20))
        {
            change(commit);
        }
        let number = items.len();
        response["Count"] = json!(number);
    }
}
