//! Functions of the template: their environment, grants, routes and event source mappings.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;

use super::node::{Node, Parameters};

/// Actions that are granted, each with a resource.
pub type Grants = BTreeSet<(String, String)>;

#[derive(Clone, Debug, PartialEq)]
pub struct FunctionDefinition {
    /// The logical id.
    pub id: String,
    /// The grants of its role, or of its own policies if it has no role.
    pub grants: Grants,
    /// A reference to a resource is its logical id, and one to an attribute has the form `Queue.Arn`.
    pub environment: BTreeMap<String, String>,
    pub timeout: Duration,
    pub routes: Vec<RouteDefinition>,
    /// From tables.
    pub mappings: Vec<MappingDefinition>,
    /// From queues.
    pub queue_mappings: Vec<QueueMappingDefinition>,
    pub schedules: Vec<ScheduleDefinition>,
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

/// An event source mapping from a queue to a function.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueMappingDefinition {
    /// The logical id of the queue.
    pub queue: String,
    pub batch_size: usize,
    /// The batching window.
    pub window: Duration,
    /// The function reports failed messages (`ReportBatchItemFailures`).
    pub reports_failures: bool,
    /// The most concurrent batches (`ScalingConfig`). `None` is unlimited.
    pub max_concurrency: Option<usize>,
}

/// A schedule that invokes a function at a fixed rate.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleDefinition {
    pub rate: Duration,
    /// The event of the invocation.
    pub input: Value,
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

pub(super) fn function(
    id: String,
    function: &Node<'_>,
    globals: Option<&Node<'_>>,
    template: &Node<'_>,
    parameters: &Parameters<'_>,
) -> Result<FunctionDefinition, String> {
    let mut environment = BTreeMap::new();
    for scope in globals.into_iter().chain([function]) {
        let variables = scope.get("Environment").and_then(|environment| environment.get("Variables"));
        for (name, value) in variables.iter().flat_map(Node::entries) {
            environment.insert(name, value.text_with(parameters)?);
        }
    }
    let timeout = function.get("Timeout").or_else(|| globals?.get("Timeout")).map_or(Ok(3), |node| node.number())?;
    let (mut routes, mut mappings) = (Vec::new(), Vec::new());
    let (mut queue_mappings, mut schedules) = (Vec::new(), Vec::new());
    for (_, event) in function.get("Events").iter().flat_map(Node::entries) {
        let properties = event.need("Properties")?;
        match event.need("Type")?.text()?.as_str() {
            "HttpApi" => routes.push(route(&properties)?),
            "DynamoDB" => mappings.push(mapping(&properties)?),
            "SQS" => queue_mappings.push(queue_mapping(&properties)?),
            "ScheduleV2" => schedules.push(schedule(&properties, parameters)?),
            other => return Err(format!("{}: the local stack does not support events of type {other}", event.path)),
        }
    }
    let role = function.get("Role").map(|role| role.text()).transpose()?;
    let role = role.and_then(|role| template.get("Resources")?.get(role.trim_end_matches(".Arn"))?.get("Properties"));
    let grants = grants(role.as_ref().unwrap_or(function))?;
    let timeout = Duration::from_secs(timeout);
    Ok(FunctionDefinition { id, grants, environment, timeout, routes, mappings, queue_mappings, schedules })
}

/// Reads the cross-origin requests that an API allows.
pub(super) fn cors(configuration: &Node<'_>, parameters: &Parameters<'_>) -> Result<CorsDefinition, String> {
    let text = |node: &Node<'_>| node.text_with(parameters);
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
    Ok(MappingDefinition {
        table: stream.strip_suffix(".StreamArn").unwrap_or(&stream).to_owned(),
        batch_size: usize::try_from(number("BatchSize")?.unwrap_or(100)).unwrap_or(usize::MAX),
        window: Duration::from_secs(number("MaximumBatchingWindowInSeconds")?.unwrap_or(0)),
        reports_failures: reports_failures(mapping)?,
        bisects: mapping.get("BisectBatchOnFunctionError").is_some_and(|node| node.is_true()),
        retries: unless_unlimited(signed("MaximumRetryAttempts")?).map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        parallelization: usize::try_from(number("ParallelizationFactor")?.unwrap_or(1)).unwrap_or(1),
        max_age: unless_unlimited(signed("MaximumRecordAgeInSeconds")?).map(Duration::from_secs),
    })
}

/// Reads a mapping from a queue, with the defaults of `AWS::Lambda::EventSourceMapping`.
fn queue_mapping(mapping: &Node<'_>) -> Result<QueueMappingDefinition, String> {
    let number = |name: &str| mapping.get(name).map(|node| node.number()).transpose();
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let queue = mapping.need("Queue")?.text()?;
    let scaling = mapping.get("ScalingConfig").map(|scaling| scaling.need("MaximumConcurrency")?.number());
    Ok(QueueMappingDefinition {
        queue: queue.strip_suffix(".Arn").unwrap_or(&queue).to_owned(),
        batch_size: size(number("BatchSize")?.unwrap_or(10)),
        window: Duration::from_secs(number("MaximumBatchingWindowInSeconds")?.unwrap_or(0)),
        reports_failures: reports_failures(mapping)?,
        max_concurrency: scaling.transpose()?.map(size),
    })
}

/// Reads a schedule. Only rates are supported.
fn schedule(schedule: &Node<'_>, parameters: &Parameters<'_>) -> Result<ScheduleDefinition, String> {
    let expression = schedule.need("ScheduleExpression")?.text_with(parameters)?;
    let rate = rate(&expression).ok_or_else(|| format!("{}: {expression} is not a rate", schedule.path))?;
    let input = schedule.get("Input").map_or(Ok("{}".to_owned()), |input| input.text())?;
    let input = serde_json::from_str(&input).map_err(|error| format!("{}/Input: {error}", schedule.path))?;
    Ok(ScheduleDefinition { rate, input })
}

/// Parses a rate expression, such as `rate(5 minutes)`.
fn rate(expression: &str) -> Option<Duration> {
    let (number, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds).filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(seconds))
}

fn reports_failures(mapping: &Node<'_>) -> Result<bool, String> {
    let responses = mapping.get("FunctionResponseTypes").map_or(Ok(Vec::new()), |types| types.list(Node::text))?;
    Ok(responses.iter().any(|response| response == "ReportBatchItemFailures"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_positive_number_of_minutes_hours_or_days() {
        for (expression, seconds) in [("rate(1 minute)", 60), ("rate(5 minutes)", 300), ("rate(2 days)", 172_800)] {
            assert_eq!(rate(expression), Some(Duration::from_secs(seconds)), "{expression}");
        }
        for other in ["rate(0 minutes)", "rate(5)", "rate(5 weeks)", "cron(0 * * * ? *)", "at(2026-11-27T10:00:00)"] {
            assert_eq!(rate(other), None, "{other}");
        }
    }
}
