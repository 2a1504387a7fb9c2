//! The AsyncAPI 3.0 document of the messages that a system exchanges with others.
//!
//! A document has channels with messages, and operations: what the system does on a channel. The system sends its
//! public events.

use serde_json::{Map, Value, json};

use crate::{
    Deployment,
    public_events::{PublicEventError, PublicEventType, describe_all, pretty},
};

/// The channel of the public events.
const EVENTS: &str = "events";

const DESCRIPTION: &str = "The events that other systems hear of. Each comes in a CloudEvents 1.0 envelope.\n\n\
    A consumer may get an event more than once, and earlier than an event before it. It applies an event if \
    `previousid` is the id of the last event that it has applied for the `subject`, ignores an event that it has \
    applied, and leaves every other event for later.\n\n\
    Consumers must ignore unknown properties and unknown types. `dataschema` names the type and the schema version of \
    the data. Within a schema version, only optional properties are added.";

const BUS: &str = "An Amazon EventBridge bus. The envelope is in `detail` of an EventBridge event, whose `detail-type` \
    is the `type` and whose `source` is the `source` of the envelope. A rule target with the input path `$.detail` gets \
    the envelope alone.";

/// The action of an operation in which the system sends messages. The other action is `receive`.
const SEND: &str = "send";

/// A message with its payload.
struct Message {
    name: String,
    summary: String,
    content_type: &'static str,
    payload: Value,
    examples: Vec<Value>,
}

/// The document without its head.
#[derive(Default)]
struct Parts {
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
}

/// Builds the document of all public events.
///
/// # Errors
/// Fails with [`PublicEventError`].
pub fn document(deployment: &Deployment) -> Result<Value, PublicEventError> {
    let publications = describe_all(deployment)?;
    let mut parts = Parts::default();
    parts.schemas.insert("envelope".to_owned(), envelope());
    let mut sent = Vec::new();
    for (publication, types) in &publications {
        let names: Vec<&str> = types.iter().map(|public| public.name.as_str()).collect();
        parts.add_operation(publication, SEND, EVENTS, &names, "Publishes what happened.");
        for public in types {
            parts.schemas.insert(schema_name(public), public.data.clone());
            parts.add_message(message(public));
        }
        sent.extend(names);
    }
    if !sent.is_empty() {
        let bus = json!({ "bus": { "description": "The name of the bus, which the deployment chooses." } });
        parts.add_channel(EVENTS, "{bus}", "Event bus", BUS, bus, &sent);
    }
    let Parts { channels, operations, messages, schemas } = parts;
    let api = &deployment.api;
    Ok(json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": deployment.name,
            "version": api.version,
            "description": DESCRIPTION,
            "license": { "name": api.license },
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    }))
}

/// Formats the document with a newline at its end, as a file in version control.
///
/// # Errors
/// Fails with [`PublicEventError`].
pub fn json(deployment: &Deployment) -> Result<String, PublicEventError> {
    pretty(&document(deployment)?)
}

impl Parts {
    fn add_channel(
        &mut self,
        name: &str,
        address: &str,
        title: &str,
        description: &str,
        parameters: Value,
        messages: &[&str],
    ) {
        let messages: Map<_, _> =
            messages.iter().map(|name| ((*name).to_owned(), reference(&["components", "messages", name]))).collect();
        let channel = json!({
            "address": address, "title": title, "description": description, "parameters": parameters,
            "messages": messages,
        });
        self.channels.insert(name.to_owned(), channel);
    }

    fn add_operation(&mut self, name: &str, action: &str, channel: &str, messages: &[&str], summary: &str) {
        let messages: Vec<_> =
            messages.iter().map(|message| reference(&["channels", channel, "messages", message])).collect();
        let operation = json!({
            "action": action, "channel": reference(&["channels", channel]), "summary": summary, "messages": messages,
        });
        self.operations.insert(name.to_owned(), operation);
    }

    fn add_message(&mut self, message: Message) {
        let Message { name, summary, content_type, payload, examples } = message;
        let examples: Vec<_> = examples.into_iter().map(|payload| json!({ "payload": payload })).collect();
        let message = json!({
            "name": name, "title": name, "summary": summary, "contentType": content_type, "payload": payload,
            "examples": examples,
        });
        self.messages.insert(name, message);
    }
}

fn reference(path: &[&str]) -> Value {
    json!({ "$ref": format!("#/{}", path.join("/")) })
}

/// The name of the schema of the data, such as `order.placed.v1`.
fn schema_name(public: &PublicEventType) -> String {
    public.file_name().trim_end_matches(".json").to_owned()
}

/// Describes a type of public events as a message: the envelope with its type, its schema and its data.
fn message(public: &PublicEventType) -> Message {
    let payload = json!({
        "allOf": [
            reference(&["components", "schemas", "envelope"]),
            {
                "type": "object",
                "properties": {
                    "type": { "const": public.name },
                    "dataschema": { "const": public.example["dataschema"] },
                    "data": reference(&["components", "schemas", &schema_name(public)]),
                },
            },
        ],
    });
    Message {
        name: public.name.clone(),
        summary: public.summary.clone(),
        content_type: "application/cloudevents+json",
        payload,
        examples: vec![public.example.clone()],
    }
}

/// The schema of the envelope, which [`cqrs::PublicRecord::cloud_event`] builds. Every attribute is a string.
fn envelope() -> Value {
    let attribute = |schema: Value, description: &str| {
        let mut schema = schema;
        schema["type"] = json!("string");
        schema["description"] = json!(description);
        schema
    };
    let id = || json!({ "pattern": "^[^#]+#.+/[1-9][0-9]*/[0-9]+$" });
    json!({
        "type": "object",
        "description": "CloudEvents 1.0 in its JSON format.",
        "required": [
            "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "sequence",
            "data",
        ],
        "properties": {
            "specversion": attribute(json!({ "const": "1.0" }), "The version of CloudEvents."),
            "id": attribute(id(), "The id of the event: stream, version of the commit, and index in the commit."),
            "source": attribute(json!({ "minLength": 1 }), "The system that publishes the event."),
            "type": attribute(json!({ "minLength": 1 }), "The type of the event."),
            "subject": attribute(json!({ "pattern": "^[^#]+#.+$" }), "The stream. Its events have an order."),
            "time": attribute(json!({ "format": "date-time" }), "The time when the event was recorded."),
            "datacontenttype": attribute(json!({ "const": "application/json" }), "The content type of the data."),
            "dataschema": attribute(json!({ "format": "uri" }), "The JSON Schema of the data, with its version."),
            "sequence": attribute(
                json!({ "pattern": "^[1-9][0-9]*$" }),
                "The version of the commit in the stream, in decimal digits. Events of one commit have the same.",
            ),
            "previousid": attribute(
                id(),
                "The id of the public event before this one in the stream. Absent if this is the first.",
            ),
            "traceparent": attribute(json!({}), "The W3C trace context of the command."),
            "data": { "type": "object", "description": "What happened. Its schema depends on the type." },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn public_type() -> PublicEventType {
        PublicEventType {
            name: "parcel.sent".to_owned(),
            schema: 2,
            summary: "A parcel left.".to_owned(),
            data: json!({ "type": "object" }),
            example: json!({ "dataschema": "https://parcels.example/parcel.sent.v2.json" }),
        }
    }

    #[test]
    fn a_message_is_the_envelope_with_the_schema_of_its_type() {
        let Message { name, payload, examples, .. } = message(&public_type());
        assert_eq!((name.as_str(), examples.len()), ("parcel.sent", 1));
        let own = &payload["allOf"][1]["properties"];
        assert_eq!(own["type"], json!({ "const": "parcel.sent" }));
        assert_eq!(own["data"], json!({ "$ref": "#/components/schemas/parcel.sent.v2" }));
        assert_eq!(own["dataschema"]["const"], examples[0]["dataschema"]);
    }

    #[test]
    fn every_required_attribute_of_the_envelope_is_described() {
        let envelope = envelope();
        let described: BTreeSet<_> = envelope["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let required = envelope["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        let mut optional = described;
        required.for_each(|name| assert!(optional.remove(name), "{name}"));
        assert_eq!(optional, BTreeSet::from(["previousid", "traceparent"]));
    }
}
