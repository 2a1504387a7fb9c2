//! An EventBridge bus, as the receiver of events.

use std::{error::Error, sync::Arc};

use app::{App, settings::SettingError};
use aws_sdk_eventbridge::{
    Client, Config,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use aws_smithy_types::{DateTime, retry::RetryConfig};
use cqrs::{CloudEvent, PublicRecord};
use cqrs_dynamodb::{Dynamo, EventSink, SendError};
use futures_util::future::BoxFuture;

/// The limit of entries in one call (Amazon EventBridge API Reference, `PutEvents`).
const MAX_ENTRIES: usize = 10;
/// The limit for the sum of all entries in one call, in bytes (Amazon EventBridge User Guide, "PutEvents entry size").
const MAX_BYTES: usize = 256 * 1024;
/// The number of attempts to send the entries that the bus did not take.
const ATTEMPTS: u32 = 10;
/// The URI of the directory with the JSON Schemas of the public events.
pub const SCHEMAS: &str = "https://cqrs-on-lambda.example/schemas/";

/// The errors of an entry that a later attempt cannot repair.
const PERMANENT: [&str; 3] = ["MalformedDetail", "InvalidArgument", "InvalidJsonException"];

/// Puts events on one bus.
#[derive(Clone, Debug)]
pub struct EventBus {
    client: Client,
    /// Clock, randomness and the invocation's deadline.
    dynamo: Dynamo,
    /// The name or the ARN of the bus.
    bus: String,
    /// The `source` of the events.
    source: String,
}

impl EventBus {
    /// Builds the client of a bus, for events from the source in the environment variable `EVENT_SOURCE`. Without a
    /// `bus`, the variable `EVENT_BUS` names it. The SDK does not retry, because this type retries single entries.
    ///
    /// # Errors
    /// The first variable that is not set.
    pub fn new(app: &App, bus: Option<String>) -> Result<Self, SettingError> {
        let config = Config::from(&app.aws.client_config("EVENTBRIDGE", RetryConfig::disabled()));
        let bus = bus.map_or_else(|| app.aws.variable("EVENT_BUS"), Ok)?;
        let source = app.aws.variable("EVENT_SOURCE")?;
        Ok(Self { client: Client::from_conf(config), dynamo: app.dynamo.clone(), bus, source })
    }

    /// Puts up to ten entries. Returns a result for each, in the same order.
    async fn put(&self, entries: &[PutEventsRequestEntry]) -> Vec<Result<(), SendError>> {
        let failed = |error: Arc<dyn Error + Send + Sync>| {
            entries.iter().map(|_| Err(SendError::Failed(Arc::clone(&error)))).collect()
        };
        let timeouts = match self.dynamo.timeouts() {
            Ok(timeouts) => timeouts,
            Err(error) => return failed(Arc::new(error)),
        };
        let call = self.client.put_events().set_entries(Some(entries.to_vec())).customize();
        let sent = call.config_override(Config::builder().timeout_config(timeouts)).send().await;
        let results = match sent {
            Ok(output) => output.entries.unwrap_or_default(),
            Err(error) => return failed(Arc::new(error)),
        };
        // An entry without a result counts as failed.
        let mut results = results.iter().map(entry_result);
        let missing = || Err(SendError::Failed(Arc::from(Box::<dyn Error + Send + Sync>::from("no result"))));
        entries.iter().map(|_| results.next().unwrap_or_else(missing)).collect()
    }

    /// Puts entries, and puts those again that the bus did not take, until no attempt or no time is left.
    async fn put_until_taken(
        &self,
        mut entries: Vec<(usize, PutEventsRequestEntry)>,
    ) -> Vec<(usize, Result<(), SendError>)> {
        let mut results = Vec::with_capacity(entries.len());
        for attempt in 1..=ATTEMPTS {
            let (indexes, batch): (Vec<usize>, Vec<_>) = entries.into_iter().unzip();
            let outcomes = self.put(&batch).await;
            entries = Vec::new();
            for ((index, entry), outcome) in indexes.into_iter().zip(batch).zip(outcomes) {
                let is_last = attempt == ATTEMPTS || self.dynamo.timeouts().is_err();
                match outcome {
                    Err(SendError::Failed(_)) if !is_last => entries.push((index, entry)),
                    outcome => results.push((index, outcome)),
                }
            }
            if entries.is_empty() {
                break;
            }
            self.dynamo.back_off(attempt).await;
        }
        results
    }

    /// Puts one event on the bus. A repeat after a lost response may put it twice, with the same id.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn put_event(&self, event: CloudEvent) -> Result<(), SendError> {
        self.send_all(&[event]).await.into_iter().collect()
    }

    /// Sends all events.
    async fn send_all(&self, events: &[CloudEvent]) -> Vec<Result<(), SendError>> {
        let mut results: Vec<(usize, Result<(), SendError>)> = Vec::with_capacity(events.len());
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (index, event) in events.iter().enumerate() {
            let entry = self.entry(event);
            let size = size(&entry);
            if size > MAX_BYTES {
                let reason = format!("an entry of {size} bytes exceeds {MAX_BYTES}");
                results.push((index, Err(SendError::Refused(reason))));
                continue;
            }
            if batch.len() == MAX_ENTRIES || bytes + size > MAX_BYTES {
                results.extend(self.put_until_taken(std::mem::take(&mut batch)).await);
                bytes = 0;
            }
            bytes += size;
            batch.push((index, entry));
        }
        if !batch.is_empty() {
            results.extend(self.put_until_taken(batch).await);
        }
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn entry(&self, event: &CloudEvent) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .time(DateTime::from_secs(event.time.as_second()))
            .source(&self.source)
            .detail_type(&event.event_type)
            .detail(event.to_json(&self.source, SCHEMAS).to_string())
            .event_bus_name(&self.bus)
            .build()
    }
}

impl EventSink for EventBus {
    fn send<'a>(&'a self, records: &'a [PublicRecord]) -> BoxFuture<'a, Vec<Result<(), SendError>>> {
        Box::pin(async {
            let events: Vec<CloudEvent> = records.iter().map(CloudEvent::from).collect();
            self.send_all(&events).await
        })
    }
}

/// Returns the size of an entry, as EventBridge counts it: 14 bytes for the time, and the bytes of the texts.
fn size(entry: &PutEventsRequestEntry) -> usize {
    let texts = [entry.source(), entry.detail_type(), entry.detail()];
    14 + texts.into_iter().flatten().map(str::len).sum::<usize>()
}

/// Converts the result of one entry. The message may quote the event, so only the code is kept.
fn entry_result(entry: &PutEventsResultEntry) -> Result<(), SendError> {
    match entry.error_code() {
        None => Ok(()),
        Some(code) if PERMANENT.contains(&code) => Err(SendError::Refused(format!("the bus answers {code}"))),
        Some(code) => Err(SendError::Failed(Arc::from(Box::<dyn Error + Send + Sync>::from(code.to_owned())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(code: Option<&str>) -> Result<(), SendError> {
        entry_result(&PutEventsResultEntry::builder().set_error_code(code.map(str::to_owned)).build())
    }

    #[test]
    fn an_entry_that_the_bus_cannot_take_now_fails_and_one_that_it_never_takes_is_refused() {
        assert!(result(None).is_ok());
        for code in ["ThrottlingException", "InternalFailure", "ResourceNotFoundException", "AccessDeniedException"] {
            assert!(matches!(result(Some(code)), Err(SendError::Failed(_))), "{code}");
        }
        assert!(matches!(result(Some("MalformedDetail")), Err(SendError::Refused(_))));
    }

    #[test]
    fn the_size_of_an_entry_counts_the_time_and_the_texts() {
        let entry = PutEventsRequestEntry::builder().source("loans").detail_type("loan.opened").detail("{}").build();
        assert_eq!(size(&entry), 14 + 5 + 11 + 2);
    }
}
