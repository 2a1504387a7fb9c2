//! The public events of a deployment, described for other systems: JSON Schemas and examples, built from the types and
//! from the code that publishes.

pub mod compatibility;
mod describe;

use std::{collections::BTreeSet, sync::Arc};

use ::messaging::event_bus::SCHEMAS;
use cqrs::Publication;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use self::describe::describe;
use crate::Deployment;

/// The events of one publication, described for other systems.
#[derive(Clone)]
pub struct DescribedPublication {
    /// The name of the publication.
    pub name: &'static str,
    describe: Arc<Describe>,
}

type Describe = dyn Fn() -> Result<Vec<PublicEventType>, PublicEventError> + Send + Sync;

/// A type of public events, in its current schema version.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicEventType {
    /// The published name, such as `order.placed`.
    pub name: String,
    pub schema: u32,
    /// The meaning of the event, in a sentence.
    pub summary: String,
    /// The JSON Schema of the data. It refers to no other schema.
    pub data: Value,
    /// An example in its envelope.
    pub example: Value,
}

/// Public events that cannot be described.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PublicEventError {
    #[error("the publication {0} is not described; add it with `Deployment::publishes`")]
    NotDescribed(&'static str),
    #[error("no domain declares the publication {0} in `Domain::publications`")]
    NotDeclared(&'static str),
    #[error("the variants of the public events of {0} and PublicEvent::SCHEMAS differ")]
    OtherTypes(&'static str),
    #[error("no sample becomes a public event of the type {0}")]
    NoSample(String),
    /// The schema of a public event is one document, so it cannot contain itself.
    #[error("the schema {0} refers to itself")]
    Recursive(String),
    /// A `ToSchema` that refers to a schema which it does not list is a defect of its own.
    #[error("the schema {0} is referred to and not listed")]
    NoSchema(String),
    #[error("no public event has the type {0}")]
    UnknownType(String),
    #[error("a public event does not serialize: {0}")]
    Serialize(String),
}

impl From<serde_json::Error> for PublicEventError {
    fn from(error: serde_json::Error) -> Self {
        Self::Serialize(error.to_string())
    }
}

impl DescribedPublication {
    /// Describes the events of `P`. `samples` returns streams, whose events become the examples.
    pub fn of<P: Publication>(source: &'static str, samples: fn() -> Vec<Vec<P::Event>>) -> Self
    where
        P::Public: ToSchema,
    {
        Self { name: P::NAME, describe: Arc::new(move || describe::<P>(source, samples())) }
    }

    /// Returns the types of the events.
    ///
    /// # Errors
    /// [`PublicEventError`]
    pub fn types(&self) -> Result<Vec<PublicEventType>, PublicEventError> {
        (self.describe)()
    }
}

impl PublicEventType {
    /// Returns the name of the files with its schema and its sample: type and schema version.
    pub fn file_name(&self) -> String {
        file_name(&self.name, self.schema)
    }

    /// Returns the JSON Schema of the data as a document of its own, whose `$id` is the `dataschema` of the envelope.
    pub fn json_schema(&self) -> Value {
        let mut schema = self.data.clone();
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        schema["$id"] = json!(format!("{SCHEMAS}{}", self.file_name()));
        schema["title"] = json!(self.name);
        schema
    }
}

/// Returns the name of the files of a schema version.
pub fn file_name(event_type: &str, schema: u32) -> String {
    format!("{event_type}.v{schema}.json")
}

/// Returns the types of all public events of a deployment, by publication.
///
/// # Errors
/// [`PublicEventError`], also if the declared and the described publications differ.
pub fn describe_all(deployment: &Deployment) -> Result<Vec<(&'static str, Vec<PublicEventType>)>, PublicEventError> {
    let declared: BTreeSet<_> = deployment.declared_publications().iter().copied().collect();
    let described: BTreeSet<_> = deployment.publications().iter().map(|publication| publication.name).collect();
    if let Some(name) = declared.difference(&described).next() {
        return Err(PublicEventError::NotDescribed(name));
    }
    if let Some(name) = described.difference(&declared).next() {
        return Err(PublicEventError::NotDeclared(name));
    }
    deployment.publications().iter().map(|publication| Ok((publication.name, publication.types()?))).collect()
}

/// Returns one type of public events.
///
/// # Errors
/// [`PublicEventError`]
pub fn find(deployment: &Deployment, event_type: &str) -> Result<PublicEventType, PublicEventError> {
    let mut types = describe_all(deployment)?.into_iter().flat_map(|(_, types)| types);
    types.find(|public| public.name == event_type).ok_or(PublicEventError::UnknownType(event_type.to_owned()))
}

/// Formats a document with a newline at its end, as a file in version control.
///
/// # Errors
/// [`PublicEventError::Serialize`]
pub fn pretty(document: &impl Serialize) -> Result<String, PublicEventError> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}
