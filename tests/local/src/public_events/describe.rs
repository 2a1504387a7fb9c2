//! Describes the events of a publication: schemas from the types, and examples from the code that publishes.

use std::collections::{BTreeMap, BTreeSet};

use ::messaging::event_bus::SCHEMAS;
use cqrs::{
    Commit, Projection, PublicEvent, PublicRecord, Publication, Published,
    openapi::{EXAMPLE_ID, Schemas},
    spec::{DECIDED_AT, commit_of},
};
use jiff::SignedDuration;
use serde_json::{Map, Value};
use utoipa::{PartialSchema, ToSchema};

use super::{PublicEventError, PublicEventType};

/// The `traceparent` in examples.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Returns the types of the public events of `P`, in the order of [`PublicEvent::SCHEMAS`].
pub(super) fn describe<P: Publication>(
    source: &str,
    samples: Vec<Vec<P::Event>>,
) -> Result<Vec<PublicEventType>, PublicEventError>
where
    P::Public: ToSchema,
{
    let records = sample_records::<P>(samples)?;
    let mut schemas = Schemas::new();
    P::Public::schemas(&mut schemas);
    let schemas = schemas.into_iter().map(|(name, schema)| Ok((name, serde_json::to_value(schema)?)));
    let schemas: BTreeMap<String, Value> = schemas.collect::<Result<_, serde_json::Error>>()?;
    let events = serde_json::to_value(P::Public::schema())?;
    let variants = events["oneOf"].as_array().into_iter().flatten();
    // serde tags each variant with a `type` of one value, and holds its fields in `data`.
    let variants: BTreeMap<&str, &Value> =
        variants.filter_map(|variant| Some((variant["properties"]["type"]["enum"][0].as_str()?, variant))).collect();
    let types: BTreeSet<&str> = P::Public::SCHEMAS.iter().map(|(name, _)| *name).collect();
    if !variants.keys().copied().eq(types) {
        return Err(PublicEventError::OtherTypes(P::NAME));
    }
    let describe = |(name, schema): &(&str, u32)| {
        let variant = variants.get(name).copied().unwrap_or(&Value::Null);
        let record = records.iter().find(|record| record.event_type == *name);
        let record = record.ok_or_else(|| PublicEventError::NoSample((*name).to_owned()))?;
        Ok(PublicEventType {
            name: (*name).to_owned(),
            schema: *schema,
            summary: variant["description"].as_str().unwrap_or_default().to_owned(),
            data: inline(&variant["properties"]["data"], &schemas, &[])?,
            example: record.cloud_event(source, SCHEMAS),
        })
    };
    P::Public::SCHEMAS.iter().map(describe).collect()
}

/// Returns the public events of these streams. Each event has a commit of its own, an hour after the one before it.
fn sample_records<P: Publication>(streams: Vec<Vec<P::Event>>) -> Result<Vec<PublicRecord>, serde_json::Error> {
    let mut records = Vec::new();
    for events in streams {
        let mut last = None;
        for (event, version) in events.into_iter().zip(1_u32..) {
            let commit = commit_of(EXAMPLE_ID, u64::from(version), DECIDED_AT, event);
            let recorded_at = commit.recorded_at + SignedDuration::from_hours(i64::from(version) - 1);
            let commit = Commit { recorded_at, trace: Some(TRACE.to_owned()), ..commit };
            records.extend(PublicRecord::of::<P>(last.as_ref(), &commit)?);
            last = Published::<P>::fold(last, [&commit]);
        }
    }
    Ok(records)
}

/// Replaces each reference in `schema` by the schema that it refers to. Keywords beside a reference take precedence.
/// `within` has the names of the schemas around it.
fn inline(schema: &Value, schemas: &BTreeMap<String, Value>, within: &[&str]) -> Result<Value, PublicEventError> {
    match schema {
        Value::Object(keywords) => {
            let mut inlined = Map::new();
            if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
                let name = reference.rsplit('/').next().unwrap_or_default();
                if within.contains(&name) {
                    return Err(PublicEventError::Recursive(name.to_owned()));
                }
                let target = schemas.get(name).ok_or_else(|| PublicEventError::NoSchema(name.to_owned()))?;
                if let Value::Object(target) = inline(target, schemas, &[within, &[name]].concat())? {
                    inlined = target;
                }
            }
            for (keyword, value) in keywords.iter().filter(|(keyword, _)| *keyword != "$ref") {
                inlined.insert(keyword.clone(), inline(value, schemas, within)?);
            }
            Ok(Value::Object(inlined))
        }
        Value::Array(values) => values.iter().map(|value| inline(value, schemas, within)).collect(),
        value => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use cqrs::{Event, Recorded};
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;
    use crate::public_events::DescribedPublication;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum ParcelEvent {
        #[serde(rename = "parcel.packed")]
        Packed {},
        #[serde(rename = "parcel.sent")]
        Sent { town: String },
    }

    impl Event for ParcelEvent {
        const CATEGORY: &'static str = "parcel";
        const SCHEMAS: &'static [(&'static str, u32)] = &[("parcel.packed", 1), ("parcel.sent", 1)];
    }

    #[derive(Serialize, ToSchema)]
    #[serde(tag = "type", content = "data")]
    enum PublicParcelEvent {
        /// A parcel left.
        #[serde(rename = "parcel.sent")]
        Sent(Departure),
    }

    #[derive(Serialize, ToSchema)]
    struct Departure {
        /// The next stop.
        town: Town,
    }

    /// A place.
    #[derive(Serialize, ToSchema)]
    struct Town {
        name: String,
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
                ParcelEvent::Packed {} => None,
                ParcelEvent::Sent { town } => {
                    Some(PublicParcelEvent::Sent(Departure { town: Town { name: town.clone() } }))
                }
            }
        }
    }

    fn sent(town: &str) -> ParcelEvent {
        ParcelEvent::Sent { town: town.to_owned() }
    }

    #[test]
    fn a_type_has_a_schema_in_one_document_and_an_example_in_its_envelope() {
        let publication = DescribedPublication::of::<ParcelPublication>("parcels", || {
            vec![vec![ParcelEvent::Packed {}, sent("Rome"), sent("Oslo")]]
        });
        let types = publication.types().unwrap();
        let [sent] = types.as_slice() else { panic!("{types:?}") };
        assert_eq!((sent.summary.as_str(), sent.file_name().as_str()), ("A parcel left.", "parcel.sent.v2.json"));
        let town = json!({
            "type": "object", "description": "The next stop.", "required": ["name"],
            "properties": { "name": { "type": "string" } },
        });
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": sent.example["dataschema"],
            "title": "parcel.sent", "description": "A parcel left.",
            "type": "object", "required": ["town"], "properties": { "town": town },
        });
        assert_eq!(sent.json_schema(), schema);
        assert_eq!(sent.example["data"], json!({ "town": { "name": "Rome" } }));
        assert_eq!(sent.example["id"], json!(format!("parcel#{EXAMPLE_ID}/2/0")));
        assert_eq!(sent.example["time"], "2026-11-22T11:00:00Z");
    }

    #[test]
    fn a_type_without_a_sample_is_not_described() {
        let publication =
            DescribedPublication::of::<ParcelPublication>("parcels", || vec![vec![ParcelEvent::Packed {}]]);
        assert_eq!(publication.types(), Err(PublicEventError::NoSample("parcel.sent".to_owned())));
    }

    #[test]
    fn a_schema_that_contains_itself_is_not_described() {
        let tree = json!({ "properties": { "left": { "$ref": "#/components/schemas/Tree" } } });
        let schemas = BTreeMap::from([("Tree".to_owned(), tree.clone())]);
        assert_eq!(inline(&tree, &schemas, &[]), Err(PublicEventError::Recursive("Tree".to_owned())));
        assert_eq!(inline(&tree, &BTreeMap::new(), &[]), Err(PublicEventError::NoSchema("Tree".to_owned())));
    }
}
