//! Protections that are removed at the connector, to show that the simulation notices.

use clap::ValueEnum;
use serde_json::Value;

/// A removed protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutation {
    /// Put a commit without the condition that its version is free
    CommitCondition,
    /// Put a view without the condition on the stored view's revision
    ViewCondition,
    /// Store no contribution in a view
    Contribution,
    /// Do not change the counters together with the view
    Counters,
    /// Read a stream without strong consistency
    ConsistentRead,
    /// Do not return the existing item when the condition of a commit fails
    OldCommit,
}

impl Mutation {
    /// Removes the protection from the request.
    pub(crate) fn apply(self, operation: &str, body: &mut Value) {
        match (self, operation) {
            (Self::CommitCondition, "PutItem") if !body["Item"]["stream"].is_null() => remove_condition(body),
            (Self::ViewCondition, "PutItem") if body["Item"]["stream"].is_null() => remove_condition(body),
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
