//! The history of an order: the response of `GET /orders/{order_id}/events`.

use cqrs::{Commit, EventRecord, Version};
use cqrs_dynamodb::StoreError;
use jiff::Timestamp;
use orders::OrderEvent;
use serde::Serialize;
use serde_json::Value;

/// The events of an order, oldest first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = History))]
pub(crate) struct OrderHistory {
    events: Vec<HistoryEvent>,
}

/// An event of an order, in the current schema version of its type.
#[derive(Debug, Serialize)]
pub(crate) struct HistoryEvent {
    version: Version,
    #[serde(rename = "type")]
    event_type: String,
    recorded_at: Timestamp,
    data: Value,
}

impl OrderHistory {
    /// Lists the events of the commits.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if an event does not serialize, which is a defect of its type.
    pub(crate) fn from_commits(commits: &[Commit<OrderEvent>]) -> Result<Self, StoreError> {
        let event = |recorded: cqrs::Recorded<'_, OrderEvent>| {
            let EventRecord { event_type, data, .. } = EventRecord::encode(recorded.event)?;
            Ok(HistoryEvent { version: recorded.version, event_type, recorded_at: recorded.recorded_at, data })
        };
        let events: Result<_, serde_json::Error> = commits.iter().flat_map(Commit::recorded).map(event).collect();
        Ok(Self { events: events.map_err(StoreError::bug)? })
    }
}
