//! The deployed resources, read from `template.yaml`. Parameters have their defaults.

mod conditions;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use serde_yaml_ng::Value;

/// The types of the resources that the local stack reads.
const TYPES: [&str; 4] =
    ["AWS::DynamoDB::Table", "AWS::IAM::Role", "AWS::Serverless::Function", "AWS::Serverless::HttpApi"];

/// The parts of a SAM template that the local stack emulates.
#[derive(Clone, Debug)]
pub struct Template {
    /// By logical id.
    pub tables: BTreeMap<String, TableDefinition>,
    /// By the name of the binary.
    pub functions: BTreeMap<String, FunctionDefinition>,
    /// The cross-origin requests that the HTTP API allows.
    pub cors: Option<CorsDefinition>,
}

/// The `CorsConfiguration` of the HTTP API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsDefinition {
    /// The origins that are allowed. `*` allows any origin.
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    /// The request headers that a page may send.
    pub headers: Vec<String>,
    /// The response headers that a page may read.
    pub exposed: Vec<String>,
    /// Seconds for which a browser keeps the answer to a preflight request.
    pub max_age: Option<u64>,
}

/// Actions that are granted, each with a resource.
pub type Grants = BTreeSet<(String, String)>;

#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    /// Names and types (`S`, `N`) of the key attributes.
    pub attributes: Vec<(String, String)>,
    pub key: Key,
    pub indexes: Vec<IndexDefinition>,
    /// The view type of its stream, for example `NEW_IMAGE`.
    pub stream: Option<String>,
}

/// The key of a table or an index. An index may have several attributes of each kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub partition: Vec<String>,
    pub sort: Vec<String>,
}

impl Key {
    pub fn new(partition: &[&str], sort: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self { partition: owned(partition), sort: owned(sort) }
    }

    /// Iterates over the names of all attributes, the partition key first.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        self.partition.iter().chain(&self.sort)
    }
}

/// A global secondary index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexDefinition {
    pub name: String,
    pub key: Key,
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection: String,
    /// The attributes of `INCLUDE`.
    pub attributes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FunctionDefinition {
    /// The logical id.
    pub id: String,
    /// The grants of its role, or of its own policies if it has no role.
    pub grants: Grants,
    /// References to tables are replaced by their logical ids.
    pub environment: BTreeMap<String, String>,
    pub timeout: Duration,
    pub routes: Vec<RouteDefinition>,
    pub mappings: Vec<MappingDefinition>,
}

/// A route of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteDefinition {
    /// In upper case.
    pub method: String,
    /// With parameters in braces.
    pub path: String,
    /// A token needs at least one of them.
    pub scopes: Vec<String>,
}

/// An event source mapping from a table's stream to a function.
#[derive(Clone, Debug, PartialEq)]
pub struct MappingDefinition {
    /// The logical id of the table.
    pub table: String,
    pub batch_size: usize,
    /// The batching window.
    pub window: Duration,
    /// The function reports failed records (`ReportBatchItemFailures`).
    pub reports_failures: bool,
    /// Lambda splits a failed batch in two.
    pub bisects: bool,
    /// `None` is unlimited.
    pub retries: Option<u32>,
    /// Older records are discarded. `None` is unlimited.
    pub max_age: Option<Duration>,
    /// The most concurrent batches of a shard.
    pub parallelization: usize,
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

    fn parse(text: &str) -> Result<Self, String> {
        let template: Value = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
        let resolved = conditions::resolve(&Node { value: &template, path: String::new() }, &TYPES)?;
        Self::of(&Node { value: &resolved, path: String::new() })
    }

    fn of(template: &Node<'_>) -> Result<Self, String> {
        let globals = template.get("Globals").and_then(|globals| globals.get("Function"));
        let mut tables = BTreeMap::new();
        let mut functions = BTreeMap::new();
        let mut cors = None;
        for (id, resource) in template.need("Resources")?.entries() {
            match resource.need("Type")?.text()?.as_str() {
                "AWS::DynamoDB::Table" => {
                    tables.insert(id, table(&resource.need("Properties")?)?);
                }
                "AWS::Serverless::Function" => {
                    let binary = resource.need("Metadata")?.need("BuildProperties")?.need("Binary")?.text()?;
                    functions.insert(binary, function(id, &resource.need("Properties")?, globals.as_ref(), template)?);
                }
                "AWS::Serverless::HttpApi" => {
                    let configuration = resource.need("Properties")?.get("CorsConfiguration");
                    cors = configuration.map(|configuration| cors_of(&configuration, template)).transpose()?;
                }
                _ => {}
            }
        }
        Ok(Self { tables, functions, cors })
    }
}

fn table(table: &Node<'_>) -> Result<TableDefinition, String> {
    let attribute = |node: &Node<'_>| Ok((node.need("AttributeName")?.text()?, node.need("AttributeType")?.text()?));
    Ok(TableDefinition {
        attributes: table.need("AttributeDefinitions")?.list(attribute)?,
        key: key(table)?,
        indexes: table.get("GlobalSecondaryIndexes").map_or(Ok(Vec::new()), |indexes| indexes.list(index))?,
        stream: table
            .get("StreamSpecification")
            .map(|stream| stream.need("StreamViewType").and_then(|view| view.text()))
            .transpose()?,
    })
}

fn key(keyed: &Node<'_>) -> Result<Key, String> {
    let elements = keyed
        .need("KeySchema")?
        .list(|element| Ok((element.need("AttributeName")?.text()?, element.need("KeyType")?.text()?)))?;
    let of_kind = |kind: &str| {
        elements.iter().filter(|(_, element_kind)| element_kind == kind).map(|(name, _)| name.clone()).collect()
    };
    Ok(Key { partition: of_kind("HASH"), sort: of_kind("RANGE") })
}

fn index(index: &Node<'_>) -> Result<IndexDefinition, String> {
    let projection = index.need("Projection")?;
    Ok(IndexDefinition {
        name: index.need("IndexName")?.text()?,
        key: key(index)?,
        projection: projection.need("ProjectionType")?.text()?,
        attributes: projection.get("NonKeyAttributes").map_or(Ok(Vec::new()), |names| names.list(Node::text))?,
    })
}

/// Reads the actions that the policies of a role or of a function grant, each with its resources.
fn grants(holder: &Node<'_>) -> Result<Grants, String> {
    let mut grants = Grants::new();
    let Some(policies) = holder.get("Policies") else { return Ok(grants) };
    let statements = policies.list(|policy| {
        let document = policy.get("PolicyDocument");
        let statements = document.as_ref().unwrap_or(policy).get("Statement");
        let grant = |grant: &Node<'_>| Ok((grant.need("Action")?.texts()?, grant.need("Resource")?.texts()?));
        statements.map_or(Ok(Vec::new()), |statements| statements.list(grant))
    })?;
    for (actions, resources) in statements.into_iter().flatten() {
        let pairs = actions.iter().flat_map(|action| resources.iter().map(move |resource| (action, resource)));
        grants.extend(pairs.map(|(action, resource)| (action.clone(), resource.clone())));
    }
    Ok(grants)
}

fn function(
    id: String,
    function: &Node<'_>,
    globals: Option<&Node<'_>>,
    template: &Node<'_>,
) -> Result<FunctionDefinition, String> {
    let mut environment = BTreeMap::new();
    for scope in globals.into_iter().chain([function]) {
        let variables = scope.get("Environment").and_then(|environment| environment.get("Variables"));
        for (name, value) in variables.iter().flat_map(Node::entries) {
            environment.insert(name, value.text()?);
        }
    }
    let timeout = function.get("Timeout").or_else(|| globals?.get("Timeout")).map_or(Ok(3), |node| node.number())?;
    let (mut routes, mut mappings) = (Vec::new(), Vec::new());
    for (_, event) in function.get("Events").iter().flat_map(Node::entries) {
        let properties = event.need("Properties")?;
        match event.need("Type")?.text()?.as_str() {
            "HttpApi" => routes.push(route(&properties)?),
            "DynamoDB" => mappings.push(mapping(&properties)?),
            other => return Err(format!("{}: the local stack does not support events of type {other}", event.path)),
        }
    }
    let role = function.get("Role").map(|role| role.text()).transpose()?;
    let role = role.and_then(|role| template.get("Resources")?.get(role.trim_end_matches(".Arn"))?.get("Properties"));
    let grants = grants(role.as_ref().unwrap_or(function))?;
    Ok(FunctionDefinition { id, grants, environment, timeout: Duration::from_secs(timeout), routes, mappings })
}

/// Reads the cross-origin requests that an API allows. A reference to a parameter is replaced by its
/// default.
fn cors_of(configuration: &Node<'_>, template: &Node<'_>) -> Result<CorsDefinition, String> {
    let text = |node: &Node<'_>| {
        let text = node.text()?;
        let default = template.get("Parameters").and_then(|parameters| parameters.get(&text)?.get("Default"));
        default.map_or(Ok(text), |default| default.text())
    };
    let list = |name: &str| configuration.get(name).map_or(Ok(Vec::new()), |list| list.list(text));
    Ok(CorsDefinition {
        origins: list("AllowOrigins")?,
        methods: list("AllowMethods")?,
        headers: list("AllowHeaders")?,
        exposed: list("ExposeHeaders")?,
        max_age: configuration.get("MaxAge").map(|age| age.number()).transpose()?,
    })
}

fn route(route: &Node<'_>) -> Result<RouteDefinition, String> {
    let scopes = route.get("Auth").and_then(|auth| auth.get("AuthorizationScopes"));
    Ok(RouteDefinition {
        method: route.need("Method")?.text()?.to_uppercase(),
        path: route.need("Path")?.text()?,
        scopes: scopes.map_or(Ok(Vec::new()), |scopes| scopes.list(Node::text))?,
    })
}

/// Reads a mapping, with the defaults of `AWS::Lambda::EventSourceMapping`.
fn mapping(mapping: &Node<'_>) -> Result<MappingDefinition, String> {
    let number = |name: &str| mapping.get(name).map(|node| node.number()).transpose();
    let unless_unlimited = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    let signed = |name: &str| mapping.get(name).map(|node| node.integer()).transpose();
    let stream = mapping.need("Stream")?.text()?;
    let responses = mapping.get("FunctionResponseTypes").map_or(Ok(Vec::new()), |types| types.list(Node::text))?;
    Ok(MappingDefinition {
        table: stream.strip_suffix(".StreamArn").unwrap_or(&stream).to_owned(),
        batch_size: usize::try_from(number("BatchSize")?.unwrap_or(100)).unwrap_or(usize::MAX),
        window: Duration::from_secs(number("MaximumBatchingWindowInSeconds")?.unwrap_or(0)),
        reports_failures: responses.iter().any(|response| response == "ReportBatchItemFailures"),
        bisects: mapping.get("BisectBatchOnFunctionError").is_some_and(|node| node.value.as_bool() == Some(true)),
        retries: unless_unlimited(signed("MaximumRetryAttempts")?).map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        parallelization: usize::try_from(number("ParallelizationFactor")?.unwrap_or(1)).unwrap_or(1),
        max_age: unless_unlimited(signed("MaximumRecordAgeInSeconds")?).map(Duration::from_secs),
    })
}

/// A node of the template with its path, for errors.
struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    fn get(&self, name: &str) -> Option<Node<'a>> {
        let value = self.value.as_mapping()?.get(name)?;
        Some(Node { value, path: format!("{}/{name}", self.path) })
    }

    fn need(&self, name: &str) -> Result<Node<'a>, String> {
        self.get(name).ok_or_else(|| format!("{}: {name} is missing", self.path))
    }

    fn entries(&self) -> Vec<(String, Node<'a>)> {
        let mapping = self.value.as_mapping().into_iter().flatten();
        let entry = |(name, value): (&'a Value, &'a Value)| {
            let name = name.as_str()?.to_owned();
            Some((name.clone(), Node { value, path: format!("{}/{name}", self.path) }))
        };
        mapping.filter_map(entry).collect()
    }

    fn list<T>(&self, read: impl Fn(&Node<'a>) -> Result<T, String>) -> Result<Vec<T>, String> {
        let values = self.value.as_sequence().ok_or_else(|| format!("{}: must be a list", self.path))?;
        values
            .iter()
            .enumerate()
            .map(|(at, value)| read(&Node { value, path: format!("{}/{at}", self.path) }))
            .collect()
    }

    /// The text of a scalar, the target of a reference (`!Ref`, `!GetAtt`), or the text of a `!Sub` as it is written.
    fn text(&self) -> Result<String, String> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Tagged(tagged) => {
                let value = match &tagged.value {
                    // The text and a map of variables.
                    Value::Sequence(arguments) if tagged.tag == "Sub" => arguments.first().unwrap_or(&Value::Null),
                    value => value,
                };
                Node { value, path: self.path.clone() }.text()
            }
            Value::Null | Value::Sequence(_) | Value::Mapping(_) => Err(format!("{}: must be text", self.path)),
        }
    }

    /// The texts of a scalar or of a list of scalars.
    fn texts(&self) -> Result<Vec<String>, String> {
        match self.value {
            Value::Sequence(_) => self.list(Node::text),
            _ => self.text().map(|text| vec![text]),
        }
    }

    fn number(&self) -> Result<u64, String> {
        self.value.as_u64().ok_or_else(|| format!("{}: must be a whole number", self.path))
    }

    fn integer(&self) -> Result<i64, String> {
        self.value.as_i64().ok_or_else(|| format!("{}: must be a whole number", self.path))
    }
}
