//! The history of a stream: its events, oldest first.

use cqrs::{Commit, Event, EventRecord, Recorded, Version};
use cqrs_dynamodb::StoreError;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The events of a stream, oldest first.
#[derive(Debug, Serialize)]
pub(crate) struct History {
    events: Vec<HistoryEvent>,
}

/// An event, in the current schema version of its type.
#[derive(Debug, Serialize)]
struct HistoryEvent {
    version: Version,
    #[serde(rename = "type")]
    event_type: String,
    recorded_at: Timestamp,
    data: Value,
}

impl History {
    /// Lists the events of the commits.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if an event does not serialize, which is a defect of its type.
    pub(crate) fn from_commits<E: Event>(commits: &[Commit<E>]) -> Result<Self, StoreError> {
        let event = |recorded: Recorded<'_, E>| {
            let EventRecord { event_type, data, .. } = EventRecord::encode(recorded.event)?;
            Ok(HistoryEvent { version: recorded.version, event_type, recorded_at: recorded.recorded_at, data })
        };
        let events: Result<_, serde_json::Error> = commits.iter().flat_map(Commit::recorded).map(event).collect();
        Ok(Self { events: events.map_err(StoreError::bug)? })
    }
}
