//! The response of a function to a batch of records or messages.

use serde::Serialize;

/// The response to a batch, for a mapping with `ReportBatchItemFailures`.
///
/// From a stream, Lambda delivers the first named record and all later ones again. SQS delivers the named messages again.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// Empty if all records were handled.
    batch_item_failures: Vec<BatchItemFailure>,
}

/// A record or message that is delivered again.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    /// The sequence number of the record, or the id of the message.
    item_identifier: String,
}

impl BatchResponse {
    /// Creates a response that names these records or messages.
    pub fn failed(identifiers: impl IntoIterator<Item = String>) -> Self {
        let failures = identifiers.into_iter().map(|item_identifier| BatchItemFailure { item_identifier });
        Self { batch_item_failures: failures.collect() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_response_names_the_failed_items() {
        let response = serde_json::to_value(BatchResponse::failed(["1".to_owned()])).unwrap();
        assert_eq!(response, json!({ "batchItemFailures": [{ "itemIdentifier": "1" }] }));
    }
}
