//! Protections taken away at the connector, to see that the simulation notices.

use clap::ValueEnum;
use serde_json::Value;

/// A protection that is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutation {
    /// A commit is put without the condition that its version is free.
    CommitCondition,
    /// A view is put without the condition that it is still the one that it was folded from.
    ViewCondition,
    /// A view does not remember what it has counted.
    Contribution,
    /// The counters are not changed with the view.
    Counters,
    /// The stream is read without asking for a consistent read.
    ConsistentRead,
    /// What stands in the way of a commit is not shown.
    OldCommit,
}

impl Mutation {
    /// Takes the protection out of the call's body.
    pub(crate) fn apply(self, operation: &str, body: &mut Value) {
        match (self, operation) {
            (Self::CommitCondition, "PutItem") if !body["Item"]["stream"].is_null() => remove_condition(body),
            (Self::ViewCondition, "PutItem") if !body["Item"]["order_id"].is_null() => remove_condition(body),
            (Self::OldCommit, "PutItem") if !body["Item"]["stream"].is_null() => {
                remove(body, "ReturnValuesOnConditionCheckFailure");
            }
            (Self::ConsistentRead, "Query") => remove(body, "ConsistentRead"),
            (Self::ViewCondition, "TransactWriteItems") => {
                actions(body).filter_map(|action| action.get_mut("Put")).for_each(remove_condition);
            }
            (Self::Contribution, "TransactWriteItems") => {
                actions(body)
                    .filter_map(|action| action.pointer_mut("/Put/Item"))
                    .for_each(|item| remove(item, "contribution"));
            }
            (Self::Counters, "TransactWriteItems") => {
                let actions = body["TransactItems"].as_array_mut().unwrap();
                actions.retain(|action| action.get("Put").is_some());
            }
            _ => {}
        }
    }
}

fn actions(body: &mut Value) -> impl Iterator<Item = &mut Value> {
    body["TransactItems"].as_array_mut().into_iter().flatten()
}

fn remove_condition(put: &mut Value) {
    for name in ["ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"] {
        remove(put, name);
    }
}

fn remove(object: &mut Value, name: &str) {
    object.as_object_mut().and_then(|object| object.remove(name));
}
