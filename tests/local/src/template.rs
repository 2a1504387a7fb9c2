//! The deployed resources, read from `template.yaml`. Parameters have their defaults.

mod conditions;
mod functions;
mod messaging;
mod node;
mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_yaml_ng::Value;

use self::node::{Node, Parameters};
pub use self::{
    functions::{
        CorsDefinition, FunctionDefinition, Grants, MappingDefinition, QueueMappingDefinition, RouteDefinition,
        ScheduleDefinition,
    },
    messaging::RuleDefinition,
    tables::{IndexDefinition, Key, TableDefinition},
};
use crate::messaging::queue::QueueDefinition;

/// The types of the resources that the local stack reads.
const TYPES: [&str; 8] = [
    "AWS::DynamoDB::Table",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::SQS::Queue",
    "AWS::Scheduler::ScheduleGroup",
    "AWS::Serverless::Function",
    "AWS::Serverless::HttpApi",
];

/// The parts of a SAM template that the local stack emulates.
#[derive(Clone, Debug)]
pub struct Template {
    /// By logical id.
    pub tables: BTreeMap<String, TableDefinition>,
    /// By the name of the binary.
    pub functions: BTreeMap<String, FunctionDefinition>,
    /// The cross-origin requests that the HTTP API allows.
    pub cors: Option<CorsDefinition>,
    /// The logical ids of the event buses.
    pub event_buses: BTreeSet<String>,
    /// The enabled rules of the event buses, by logical id.
    pub rules: BTreeMap<String, RuleDefinition>,
    /// By logical id. A redrive policy has the logical id of the dead-letter queue.
    pub queues: BTreeMap<String, QueueDefinition>,
    /// The logical ids of the groups of schedules.
    pub schedule_groups: BTreeSet<String>,
    /// The logical ids of the roles.
    pub roles: BTreeSet<String>,
}

/// A template that cannot be read or emulated.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct TemplateError {
    path: String,
    reason: String,
}

impl Template {
    /// Reads the template at `path`.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or if a property is missing or invalid. The error is one line.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        let invalid = |reason: String| TemplateError { path: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
        Self::parse(&text).map_err(invalid)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let template: Value = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
        let resolved = conditions::resolve(&Node { value: &template, path: String::new() }, &TYPES)?;
        Self::of(&Node { value: &resolved, path: String::new() })
    }

    fn of(template: &Node<'_>) -> Result<Self, String> {
        let globals = template.get("Globals").and_then(|globals| globals.get("Function"));
        let parameters = Parameters::of(template);
        let mut read = Self {
            tables: BTreeMap::new(),
            functions: BTreeMap::new(),
            cors: None,
            event_buses: BTreeSet::new(),
            rules: BTreeMap::new(),
            queues: BTreeMap::new(),
            schedule_groups: BTreeSet::new(),
            roles: BTreeSet::new(),
        };
        for (id, resource) in template.need("Resources")?.entries() {
            let properties = resource.need("Properties");
            match resource.need("Type")?.text()?.as_str() {
                "AWS::DynamoDB::Table" => {
                    read.tables.insert(id, tables::table(&properties?)?);
                }
                "AWS::Serverless::Function" => {
                    let binary = resource.need("Metadata")?.need("BuildProperties")?.need("Binary")?.text()?;
                    let function = functions::function(id, &properties?, globals.as_ref(), template, &parameters)?;
                    read.functions.insert(binary, function);
                }
                "AWS::Serverless::HttpApi" => {
                    let configuration = properties?.get("CorsConfiguration");
                    let cors = configuration.map(|configuration| functions::cors(&configuration, &parameters));
                    read.cors = cors.transpose()?;
                }
                "AWS::Events::EventBus" => drop(read.event_buses.insert(id)),
                "AWS::Events::Rule" => {
                    read.rules.extend(messaging::rule(&properties?, &parameters)?.map(|rule| (id, rule)));
                }
                // A queue with the defaults has no properties.
                "AWS::SQS::Queue" => {
                    read.queues.insert(id, messaging::queue(resource.get("Properties").as_ref(), &parameters)?);
                }
                "AWS::Scheduler::ScheduleGroup" => drop(read.schedule_groups.insert(id)),
                "AWS::IAM::Role" => drop(read.roles.insert(id)),
                _ => {}
            }
        }
        messaging::check_references(&read)?;
        Ok(read)
    }
}
