//! A single entry of a batch that fails, while the engine executes the others.

use serde_json::{Value, json};

use super::EngineCall;

const CODE: &str = "InternalFailure";

/// An entry that was taken out of a call.
pub(super) struct FailedEntry {
    entry: Value,
    index: usize,
    /// The number of entries that the call still has.
    others: usize,
    /// The response lists the results of `PutEvents` by position, and those of SQS by id.
    by_position: bool,
}

impl FailedEntry {
    /// Takes the entry at `index` out of the call. `None` if the call has no such entry.
    pub(super) fn take(call: &mut EngineCall, index: usize) -> Option<Self> {
        let by_position = call.operation == "PutEvents";
        if !by_position && !call.operation.ends_with("MessageBatch") {
            return None;
        }
        let entries = call.body["Entries"].as_array_mut().filter(|entries| index < entries.len())?;
        let entry = entries.remove(index);
        Some(Self { entry, index, others: entries.len(), by_position })
    }

    /// Returns whether the call has no other entry, so that the engine need not execute it.
    pub(super) fn is_alone(&self) -> bool {
        self.others == 0
    }

    /// The response to a call without other entries.
    pub(super) fn response(&self) -> Value {
        let mut response = match self.by_position {
            true => json!({ "FailedEntryCount": 0, "Entries": [] }),
            false => json!({ "Successful": [], "Failed": [] }),
        };
        self.insert(&mut response);
        response
    }

    /// Inserts the failure into the response for the other entries.
    pub(super) fn insert(&self, response: &mut Value) {
        if self.by_position {
            response["FailedEntryCount"] = json!(response["FailedEntryCount"].as_u64().unwrap_or_default() + 1);
            if let Some(results) = response["Entries"].as_array_mut().filter(|results| self.index <= results.len()) {
                results.insert(self.index, json!({ "ErrorCode": CODE, "ErrorMessage": "injected" }));
            }
            return;
        }
        let failure = json!({ "Id": self.entry["Id"], "Code": CODE, "Message": "injected", "SenderFault": false });
        match response["Failed"].as_array_mut() {
            Some(failed) => failed.push(failure),
            None => response["Failed"] = json!([failure]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str, ids: &[&str]) -> EngineCall {
        let entries: Vec<_> = ids.iter().map(|id| json!({ "Id": id })).collect();
        EngineCall { operation: operation.to_owned(), body: json!({ "Entries": entries }) }
    }

    #[test]
    fn an_entry_of_put_events_fails_at_its_position() {
        let mut call = call("PutEvents", &["a", "b", "c"]);
        let failed = FailedEntry::take(&mut call, 1).unwrap();
        assert_eq!(call.body["Entries"], json!([{ "Id": "a" }, { "Id": "c" }]));
        let mut response = json!({ "FailedEntryCount": 1, "Entries": [{ "EventId": "1" }, { "ErrorCode": "x" }] });
        failed.insert(&mut response);
        let failure = json!({ "ErrorCode": "InternalFailure", "ErrorMessage": "injected" });
        let expected = json!([{ "EventId": "1" }, failure, { "ErrorCode": "x" }]);
        assert_eq!(response, json!({ "FailedEntryCount": 2, "Entries": expected }));
    }

    #[test]
    fn an_entry_of_a_batch_fails_by_its_id() {
        let mut call = call("SendMessageBatch", &["a", "b"]);
        let failed = FailedEntry::take(&mut call, 0).unwrap();
        let mut response = json!({ "Successful": [{ "Id": "b" }] });
        failed.insert(&mut response);
        assert_eq!((&response["Failed"][0]["Id"], &response["Successful"][0]["Id"]), (&json!("a"), &json!("b")));
    }

    #[test]
    fn a_call_with_one_entry_is_not_executed() {
        let failed = FailedEntry::take(&mut call("DeleteMessageBatch", &["a"]), 0).unwrap();
        assert!(failed.is_alone());
        assert_eq!(failed.response()["Failed"][0]["Id"], "a");
    }

    #[test]
    fn a_call_without_such_an_entry_is_executed() {
        assert!(FailedEntry::take(&mut call("PutEvents", &["a"]), 1).is_none());
        assert!(FailedEntry::take(&mut call("SendMessage", &["a"]), 0).is_none());
    }
}
