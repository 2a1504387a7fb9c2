//! What goes wrong between the SDK and the tables: all that `--chaos` does, and what else AWS may do.

use std::sync::Arc;

use local::{
    chaos::Chaos,
    engine::interceptor::{Call, Fault, Interceptor},
};
use serde_json::{Value, json};

use crate::{Mutation, invariant_checker::InvariantChecker, world::World};

/// The interceptor of a simulation. What has landed is looked at before anything else happens.
pub struct Faults {
    /// What `--chaos` does.
    pub chaos: Arc<Chaos>,
    /// Decides on the rest.
    pub world: Arc<World>,
    /// Looks at the tables.
    pub checker: Arc<InvariantChecker>,
    /// What is taken away on purpose.
    pub mutation: Option<Mutation>,
}

impl Interceptor for Faults {
    fn before(&self, call: &mut Call) -> Fault {
        if let Some(mutation) = self.mutation {
            mutation.apply(&call.operation, &mut call.body);
        }
        let fault = self.chaos.before(call);
        if fault != Fault::None {
            return fault;
        }
        let world = &self.world;
        match call.operation.as_str() {
            // An index is read in state already.
            "Query" if call.body["Limit"].is_null() && world.inject("page of one item", 300) => {
                call.body["Limit"] = json!(1);
                Fault::None
            }
            "TransactGetItems" if world.inject("read met a transaction", 60) => Fault::Conflict,
            "TransactWriteItems" if world.inject("transaction conflict", 50) => Fault::Conflict,
            "PutItem" | "TransactWriteItems" if world.inject("write landed in silence", 10) => Fault::ResponseTimeout,
            "PutItem" | "TransactWriteItems" | "GetItem" | "Query" | "BatchGetItem"
                if world.inject("call unheard", 10) =>
            {
                Fault::RequestTimeout
            }
            _ => Fault::None,
        }
    }

    fn after(&self, call: &Call, answer: &mut Value) {
        let (body, world) = (&call.body, &self.world);
        match call.operation.as_str() {
            "PutItem" | "UpdateItem" | "TransactWriteItems" => {
                if let Err(violation) = self.checker.check(&world.commands) {
                    world.trace.report_violation(violation);
                }
            }
            "GetItem" if body["ConsistentRead"] != true && world.inject("view as of a moment ago", 100) => {
                let key = body["Key"]["order_id"]["S"].as_str().unwrap_or_default();
                *answer = match self.checker.earlier_view(key, &world.random) {
                    Some(item) => json!({ "Item": item }),
                    None => json!({}),
                };
            }
            "Query" if body["IndexName"].is_null() => self.alter_stream_read(body, answer),
            "BatchGetItem" if world.inject("keys left unprocessed", 50) => {
                *answer = json!({ "Responses": {}, "UnprocessedKeys": body["RequestItems"] });
            }
            _ => {}
        }
    }
}

/// Makes the first event of a stored commit one that no code knows.
pub fn make_event_unknown(commit: &mut Value) {
    if let Some(event) = commit.pointer_mut("/events/L/0/M/type/S") {
        *event = json!("order.foretold");
    }
}

impl Faults {
    /// A read of a stream that is not consistent may lack its end; any may lack an item that it should have, or have one
    /// that the code which reads it is too old for.
    fn alter_stream_read(&self, body: &Value, answer: &mut Value) {
        let Some(items) = answer["Items"].as_array_mut() else { return };
        if body["ConsistentRead"] != true && body["TableName"] == "EventsTable" && !items.is_empty() {
            if self.world.inject("stream as of a moment ago", 200) {
                items.pop();
            }
        } else if items.len() > 1 && self.world.inject("commit missing from a stream", 100) {
            items.remove(self.world.random.below(items.len() as u64 - 1) as usize);
        } else if let Some(commit) = items.last_mut().filter(|_| self.world.inject("event unknown to its reader", 20)) {
            make_event_unknown(commit);
        }
        let number = items.len();
        answer["Count"] = json!(number);
    }
}
