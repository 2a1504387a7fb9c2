//! The history of an order: what `GET /orders/{order_id}/events` answers.

use cqrs::{Commit, EventRecord, Version};
use cqrs_dynamodb::StoreError;
use jiff::Timestamp;
use orders::OrderEvent;
use serde::Serialize;
use serde_json::Value;

/// What happened to an order, oldest first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct History {
    events: Vec<HistoryEvent>,
}

/// One event of it, at the schema version of today.
#[derive(Debug, Serialize)]
pub(crate) struct HistoryEvent {
    version: Version,
    #[serde(rename = "type")]
    event_type: String,
    recorded_at: Timestamp,
    data: Value,
}

impl History {
    /// The history in these commits.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if an event cannot be serialised: a defect of its type.
    pub(crate) fn of(commits: &[Commit<OrderEvent>]) -> Result<Self, StoreError> {
        let event = |recorded: cqrs::Recorded<'_, OrderEvent>| {
            let EventRecord { event_type, data, .. } = EventRecord::encode(recorded.event)?;
            Ok(HistoryEvent { version: recorded.version, event_type, recorded_at: recorded.recorded_at, data })
        };
        let events: Result<_, serde_json::Error> = commits.iter().flat_map(Commit::recorded).map(event).collect();
        Ok(Self { events: events.map_err(StoreError::bug)? })
    }
}
