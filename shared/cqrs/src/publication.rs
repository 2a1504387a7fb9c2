//! Publications: which events other systems hear of, and in which form.

use std::marker::PhantomData;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CloudEvent, Commit, Event, Projection, Recorded, StreamId, Version, event};

/// The public events of one publication. They are a contract with other systems.
///
/// The type is an enum that serde tags as `#[serde(tag = "type", content = "data")]`, with each variant renamed to its
/// published name (`order.placed`). An optional field may be added. Any other change needs a new schema version.
pub trait PublicEvent: Serialize + Send + Sync + 'static {
    /// Every type of a public event with its schema version, from 1.
    const SCHEMAS: &'static [(&'static str, u32)];
}

/// Chooses the public event for each event of a stream.
///
/// A public event has a type of its own, so no field of a stored event becomes public by accident.
pub trait Publication: Send + Sync + 'static {
    type Event: Event;
    type Public: PublicEvent;

    /// The name in logs and reports, and the declared name of the table with the position of each stream. Unique among
    /// all names that a system declares.
    const NAME: &'static str;

    /// Returns the public event for `recorded`, or `None` if other systems do not hear of it.
    ///
    /// A change applies to the events that are published later. A redelivery publishes the same event again, so the
    /// result must depend on `recorded` only.
    fn publish(recorded: Recorded<'_, Self::Event>) -> Option<Self::Public>;
}

/// The projection that remembers which events of a stream are published. Its version and hash are the position after
/// which the publisher continues.
#[derive(Debug)]
pub struct Published<P>(PhantomData<fn() -> P>);

/// The view of [`Published`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastPublished {
    /// The id of the last public event of the stream; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_id: Option<String>,
}

/// A public event with the facts that its envelope shows.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicRecord {
    /// The id of the recorded event. A consumer recognizes a repeat by it.
    pub id: String,
    pub stream: StreamId,
    /// The version of the commit.
    pub version: Version,
    pub recorded_at: Timestamp,
    /// The W3C `traceparent` of the command.
    pub trace: Option<String>,
    /// The id of the public event before this one in the stream. A consumer recognizes by it what it has missed.
    pub previous_id: Option<String>,
    pub event_type: String,
    pub schema: u32,
    pub data: Value,
}

impl<P: Publication> Projection for Published<P> {
    type Event = P::Event;
    type View = LastPublished;

    const NAME: &'static str = P::NAME;
    const KEY: &'static str = "stream_key";
    const SCHEMA: u32 = 1;

    fn evolve(view: Option<LastPublished>, recorded: Recorded<'_, P::Event>) -> Option<LastPublished> {
        let id = recorded.id();
        let last_id = match P::publish(recorded) {
            Some(_) => Some(id),
            None => view.and_then(|view| view.last_id),
        };
        Some(LastPublished { last_id })
    }
}

impl PublicRecord {
    /// Returns the public events of `commit`, in order. `last` is what is published before it.
    ///
    /// # Errors
    /// If an event does not serialize as a `type` with `data`, or [`PublicEvent::SCHEMAS`] does not list its type.
    pub fn of<P: Publication>(
        last: Option<&LastPublished>,
        commit: &Commit<P::Event>,
    ) -> Result<Vec<Self>, serde_json::Error> {
        let mut previous_id = last.and_then(|last| last.last_id.clone());
        let mut records = Vec::new();
        for recorded in commit.recorded() {
            let id = recorded.id();
            let Some(public) = P::publish(recorded) else { continue };
            let (event_type, schema, data) = event::encode(&public, P::Public::SCHEMAS)?;
            records.push(Self {
                id: id.clone(),
                stream: commit.stream.clone(),
                version: commit.version,
                recorded_at: commit.recorded_at,
                trace: commit.trace.clone(),
                previous_id: previous_id.replace(id),
                event_type,
                schema,
                data,
            });
        }
        Ok(records)
    }

    /// Returns the event in its envelope, in the JSON form of CloudEvents 1.0. `schemas` is the URI of the directory
    /// with the JSON Schemas.
    pub fn cloud_event(&self, source: &str, schemas: &str) -> Value {
        CloudEvent::from(self).to_json(source, schemas)
    }
}

/// The subject is the stream, and `sequence` is the version of the commit.
impl From<&PublicRecord> for CloudEvent {
    fn from(record: &PublicRecord) -> Self {
        let record = record.clone();
        Self {
            id: record.id,
            event_type: record.event_type,
            schema: record.schema,
            subject: Some(record.stream.into()),
            time: record.recorded_at,
            sequence: Some(record.version),
            previous_id: record.previous_id,
            trace: record.trace,
            data: record.data,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::commit_of;

    /// The events of a parcel. Other systems hear of its departure and its arrival, but not of its content.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum ParcelEvent {
        #[serde(rename = "parcel.packed")]
        Packed { content: String },
        #[serde(rename = "parcel.sent")]
        Sent { town: String, street: String },
    }

    impl Event for ParcelEvent {
        const CATEGORY: &'static str = "parcel";
        const SCHEMAS: &'static [(&'static str, u32)] = &[("parcel.packed", 1), ("parcel.sent", 1)];
    }

    #[derive(Serialize)]
    #[serde(tag = "type", content = "data")]
    enum PublicParcelEvent {
        #[serde(rename = "parcel.sent")]
        Sent { town: String },
    }

    impl PublicEvent for PublicParcelEvent {
        const SCHEMAS: &'static [(&'static str, u32)] = &[("parcel.sent", 2)];
    }

    struct ParcelPublication;

    impl Publication for ParcelPublication {
        type Event = ParcelEvent;
        type Public = PublicParcelEvent;

        const NAME: &'static str = "parcel-publication";

        fn publish(recorded: Recorded<'_, ParcelEvent>) -> Option<PublicParcelEvent> {
            match recorded.event {
                ParcelEvent::Packed { .. } => None,
                ParcelEvent::Sent { town, .. } => Some(PublicParcelEvent::Sent { town: town.clone() }),
            }
        }
    }

    fn packed() -> ParcelEvent {
        ParcelEvent::Packed { content: "tea".to_owned() }
    }

    fn sent(town: &str) -> ParcelEvent {
        ParcelEvent::Sent { town: town.to_owned(), street: "Main Street".to_owned() }
    }

    const AT: &str = "2026-11-22T10:00:00Z";

    #[test]
    fn each_public_event_names_the_public_event_before_it() {
        let mut commit = commit_of("7", 1, AT, sent("Rome"));
        commit.events.extend([packed(), sent("Oslo")]);
        let ids = |last: Option<&LastPublished>, commit: &Commit<ParcelEvent>| {
            let records = PublicRecord::of::<ParcelPublication>(last, commit).unwrap();
            records.into_iter().map(|record| (record.id, record.previous_id)).collect::<Vec<_>>()
        };
        let id = |id: &str| Some(id.to_owned());
        let expected = [("parcel#7/1/0".to_owned(), None), ("parcel#7/1/2".to_owned(), id("parcel#7/1/0"))];
        assert_eq!(ids(None, &commit), expected);
        let last = Published::<ParcelPublication>::fold(None, [&commit]).unwrap();
        assert_eq!(last.last_id, id("parcel#7/1/2"));
        let quiet = commit_of("7", 2, AT, packed());
        assert_eq!(ids(Some(&last), &quiet), []);
        let last = Published::<ParcelPublication>::fold(Some(last), [&quiet]).unwrap();
        assert_eq!(
            ids(Some(&last), &commit_of("7", 3, AT, sent("Bonn"))),
            [("parcel#7/3/0".to_owned(), id("parcel#7/1/2"))]
        );
    }

    #[test]
    fn the_envelope_is_a_cloud_event_without_private_fields() {
        let commit = Commit { trace: Some("00-1-2-01".to_owned()), ..commit_of("7", 3, AT, sent("Rome")) };
        let last = LastPublished { last_id: Some("parcel#7/1/0".to_owned()) };
        let record = PublicRecord::of::<ParcelPublication>(Some(&last), &commit).unwrap().remove(0);
        let expected = json!({
            "specversion": "1.0", "id": "parcel#7/3/0", "source": "parcels", "type": "parcel.sent",
            "subject": "parcel#7", "time": AT, "datacontenttype": "application/json",
            "dataschema": "https://parcels.example/parcel.sent.v2.json", "sequence": "3",
            "previousid": "parcel#7/1/0", "traceparent": "00-1-2-01", "data": { "town": "Rome" },
        });
        assert_eq!(record.cloud_event("parcels", "https://parcels.example/"), expected);
    }
}
