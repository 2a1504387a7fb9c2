//! Batches of the SQS API: each entry succeeds or fails on its own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    super::{
        queue::{MAX_MESSAGE_BYTES, size},
        service_error::ServiceError,
    },
    CallContext, Queues, outgoing,
};

/// The most entries of a batch.
const MAX_ENTRIES: usize = 10;

impl Queues {
    pub(super) fn send_batch(&mut self, request: &Value, context: &mut CallContext<'_>) -> Result<Value, ServiceError> {
        let bytes: usize =
            entries(request).filter_map(|entry| outgoing(entry).ok()).map(|message| size(&message)).sum();
        if bytes > MAX_MESSAGE_BYTES {
            let message = format!("Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes.");
            return Err(ServiceError::new("AWS.SimpleQueueService.BatchRequestTooLong", message));
        }
        self.batch(request, context, Self::send)
    }

    pub(super) fn delete_batch(
        &mut self,
        request: &Value,
        context: &mut CallContext<'_>,
    ) -> Result<Value, ServiceError> {
        self.batch(request, context, Self::delete)
    }

    pub(super) fn change_visibility_batch(
        &mut self,
        request: &Value,
        context: &mut CallContext<'_>,
    ) -> Result<Value, ServiceError> {
        self.batch(request, context, Self::change_visibility)
    }

    /// Executes `operation` for each entry.
    fn batch(
        &mut self,
        request: &Value,
        context: &mut CallContext<'_>,
        operation: impl Fn(&mut Self, &Value, &mut CallContext<'_>) -> Result<Value, ServiceError>,
    ) -> Result<Value, ServiceError> {
        self.find(request)?;
        let ids: Vec<&str> = entries(request).map(|entry| entry["Id"].as_str().unwrap_or_default()).collect();
        if ids.is_empty() {
            return Err(ServiceError::new(
                "AWS.SimpleQueueService.EmptyBatchRequest",
                "There should be at least one entry in the request.",
            ));
        }
        if ids.len() > MAX_ENTRIES {
            let message = format!("Maximum number of entries per request are {MAX_ENTRIES}.");
            return Err(ServiceError::new("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", message));
        }
        if ids.iter().any(|id| !is_valid(id)) {
            let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores.";
            return Err(ServiceError::new("AWS.SimpleQueueService.InvalidBatchEntryId", message));
        }
        if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
            return Err(ServiceError::new(
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                "Two or more batch entries have the same id.",
            ));
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries(request) {
            let mut single = entry.clone();
            single["QueueUrl"] = request["QueueUrl"].clone();
            match operation(self, &single, context) {
                Ok(mut answer) => {
                    answer["Id"] = entry["Id"].clone();
                    successful.push(answer);
                }
                Err(ServiceError { code, message, .. }) => {
                    failed.push(json!({ "Id": entry["Id"], "Code": code, "Message": message, "SenderFault": true }));
                }
            }
        }
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }
}

fn entries(request: &Value) -> impl Iterator<Item = &Value> {
    request["Entries"].as_array().into_iter().flatten()
}

fn is_valid(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=80).contains(&id.len()) && id.bytes().all(is_allowed)
}
