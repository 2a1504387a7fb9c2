//! The messages of the queue of signals. Each names a source stream: look at this stream again.

#![allow(clippy::indexing_slicing, reason = "indexing a JSON value returns null for a missing part")]

use std::collections::BTreeMap;

use cqrs::{Event, StreamId};
use serde::Deserialize;
use serde_json::{Value, json};

/// A parsed batch of messages.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// The ids of the messages about each stream.
    pub(crate) streams: BTreeMap<StreamId, Vec<String>>,
    /// The ids of the malformed messages.
    pub(crate) malformed: Vec<(String, Malformed)>,
}

/// The event of the invocation is no batch of messages.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event is neither a batch of SQS messages nor a sweep")]
pub(crate) struct NoMessages;

/// The reason why a message is no signal.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the body is neither a signal nor an event of the bus")]
    Body,
    #[error("the event has another source")]
    Source,
    #[error("the stream is none that the process follows")]
    Stream,
}

/// The body of a signal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signal {
    stream: String,
}

/// The parts of an event of EventBridge that name a stream. It has others, and AWS may add some.
#[derive(Deserialize)]
struct BusEvent {
    source: String,
    detail: CloudEvent,
}

#[derive(Deserialize)]
struct CloudEvent {
    subject: String,
}

/// Returns the body of a signal about `stream`.
pub(crate) fn signal(stream: &StreamId) -> String {
    json!({ "stream": stream }).to_string()
}

impl Signals {
    /// Reads the event of an invocation: a batch of messages, each a signal or an event from `source` whose subject is a
    /// stream of `E`.
    ///
    /// # Errors
    /// [`NoMessages`] if the event has no list of messages with ids.
    pub(crate) fn read<E: Event>(event: &Value, source: &str) -> Result<Self, NoMessages> {
        let mut signals = Self::default();
        for message in event["Records"].as_array().ok_or(NoMessages)? {
            let id = message["messageId"].as_str().ok_or(NoMessages)?.to_owned();
            match stream_of::<E>(message["body"].as_str().unwrap_or_default(), source) {
                Ok(stream) => signals.streams.entry(stream).or_default().push(id),
                Err(malformed) => signals.malformed.push((id, malformed)),
            }
        }
        Ok(signals)
    }
}

fn stream_of<E: Event>(body: &str, source: &str) -> Result<StreamId, Malformed> {
    let body: Value = serde_json::from_str(body).map_err(|_| Malformed::Body)?;
    let name = if body.get("detail").is_some() {
        let event: BusEvent = serde_json::from_value(body).map_err(|_| Malformed::Body)?;
        if event.source != source {
            return Err(Malformed::Source);
        }
        event.detail.subject
    } else {
        serde_json::from_value::<Signal>(body).map_err(|_| Malformed::Body)?.stream
    };
    let stream = StreamId::try_from(name).map_err(|_| Malformed::Stream)?;
    if stream.category() == E::CATEGORY { Ok(stream) } else { Err(Malformed::Stream) }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct LoanEvent;

    impl Event for LoanEvent {
        const CATEGORY: &'static str = "loan";
        const SCHEMAS: &'static [(&'static str, u32)] = &[];
    }

    fn read(bodies: &[Value]) -> Signals {
        let records = bodies.iter().enumerate().map(|(number, body)| {
            let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            json!({ "messageId": number.to_string(), "body": body })
        });
        Signals::read::<LoanEvent>(&json!({ "Records": records.collect::<Vec<_>>() }), "loans").unwrap()
    }

    fn bus_event(source: &str, detail: Value) -> Value {
        json!({ "version": "0", "id": "1", "detail-type": "loan.lent", "source": source, "detail": detail })
    }

    #[test]
    fn messages_are_grouped_by_the_stream_that_they_name() {
        let stream = |key: &str| StreamId::of::<LoanEvent>(key);
        let signals = read(&[
            json!({ "stream": "loan#a" }),
            bus_event("loans", json!({ "subject": "loan#b", "data": {} })),
            serde_json::from_str(&signal(&stream("a"))).unwrap(),
        ]);
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let expected = BTreeMap::from([(stream("a"), ids(&["0", "2"])), (stream("b"), ids(&["1"]))]);
        assert_eq!((signals.streams, signals.malformed), (expected, vec![]));
    }

    #[test]
    fn a_message_that_is_no_signal_is_malformed() {
        for (body, malformed) in [
            (json!("stream"), Malformed::Body),
            (json!({}), Malformed::Body),
            (json!([]), Malformed::Body),
            (json!({ "stream": 7 }), Malformed::Body),
            (json!({ "stream": "loan#a", "more": 1 }), Malformed::Body),
            (bus_event("loans", json!({ "data": {} })), Malformed::Body),
            (json!({ "detail": { "subject": "loan#a" } }), Malformed::Body),
            (bus_event("others", json!({ "subject": "loan#a" })), Malformed::Source),
            (json!({ "stream": "loan" }), Malformed::Stream),
            (json!({ "stream": "order#a" }), Malformed::Stream),
            (bus_event("loans", json!({ "subject": "reminders#a" })), Malformed::Stream),
        ] {
            let signals = read(&[body.clone(), json!({ "stream": "loan#a" })]);
            assert_eq!(signals.malformed, [("0".to_owned(), malformed)], "{body}");
            assert_eq!(signals.streams.len(), 1, "{body}");
        }
    }

    #[test]
    fn an_event_without_messages_is_refused() {
        for event in [json!({}), json!({ "Records": {} }), json!({ "Records": [{ "body": "{}" }] })] {
            assert_eq!(Signals::read::<LoanEvent>(&event, "loans").err(), Some(NoMessages), "{event}");
        }
    }
}
