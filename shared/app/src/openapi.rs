//! Builds the OpenAPI 3.1 description of operations. Compiled only for the local stack, not for deployed functions.
//!
//! This module adds the parts that all operations share: scopes, common problems, and the responses of API Gateway
//! itself. [`commands`] and [`queries`] add what all commands and all queries share; [`history`] describes the
//! events of a stream. Types, titles and examples of the problems are taken from the same [`Problem`] values that the
//! functions return.

mod commands;
mod history;
mod queries;

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, Header, HttpMethod, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Type,
        example::ExampleBuilder,
        path::{OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{AllOfBuilder, Schema},
        security::SecurityRequirement,
    },
};

pub use cqrs::openapi::integer as number;

pub use self::queries::VersionedSchema;
use crate::{HttpFunction, Problem, Route, parameters::MAX_VERSION, problem::type_uri};

/// The tag of the operations that change something.
pub const COMMANDS: &str = "commands";
/// The tag of the operations that only read.
pub const QUERIES: &str = "queries";
/// The name of the security scheme.
pub const BEARER: &str = "bearer";
/// The statuses that API Gateway itself returns: no valid token, no scope, no route, too large, throttled, failed.
const GATEWAY_STATUSES: [u16; 7] = [401, 403, 404, 413, 429, 500, 503];

/// An error response of API Gateway itself.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct GatewayMessage {
    /// The reason for the error.
    message: String,
}

/// Builds the description of one operation.
pub struct Operation {
    pub method: HttpMethod,
    pub path: &'static str,
    /// The schemas that the operation refers to, by name.
    pub schemas: Vec<(String, RefOr<Schema>)>,
    operation: OperationBuilder,
    /// The example for the successful response that is added next.
    example: Option<Value>,
    problems: BTreeMap<u16, Vec<Problem>>,
    is_described: bool,
}

/// An HTTP function with the description of its operations.
pub type DescribedFunction = (fn() -> HttpFunction, fn(&str, Operation) -> Operation);

impl HttpFunction {
    /// Describes each route. `describe` completes the description of the operation with this id.
    pub fn operations(&self, describe: impl Fn(&str, Operation) -> Operation) -> Vec<Operation> {
        self.routes().iter().map(|route| describe(route.operation, Operation::new(route))).collect()
    }
}

impl Operation {
    /// Begins the description of a route, with its method, its path and its scopes.
    fn new(route: &Route) -> Self {
        let method = if route.method == http::Method::GET { HttpMethod::Get } else { HttpMethod::Post };
        let scopes = route.scopes.iter().map(|scope| SecurityRequirement::new(BEARER, [scope.as_str()]));
        let tag = if method == HttpMethod::Get { QUERIES } else { COMMANDS };
        let operation = OperationBuilder::new().operation_id(Some(route.operation)).tag(tag).securities(Some(scopes));
        let (schemas, problems) = (Vec::new(), BTreeMap::new());
        Self { method, path: route.path, schemas, operation, example: None, problems, is_described: false }
            .add_schema::<Problem>()
            .add_schema::<GatewayMessage>()
            .problem(Problem::unavailable())
    }

    /// Sets the summary. An operation without one counts as not described.
    #[must_use]
    pub fn summary(self, summary: &str) -> Self {
        Self { operation: self.operation.summary(Some(summary)), is_described: true, ..self }
    }

    /// Returns whether the operation has a summary.
    pub fn is_described(&self) -> bool {
        self.is_described
    }

    #[must_use]
    pub fn description(self, description: &str) -> Self {
        Self { operation: self.operation.description(Some(description)), ..self }
    }

    /// Adds a required path parameter.
    #[must_use]
    pub fn path_parameter(self, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(ParameterIn::Path, name, description, schema)
    }

    /// Adds an optional query parameter.
    #[must_use]
    pub fn query_parameter(self, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(ParameterIn::Query, name, description, schema)
    }

    /// Adds an optional request header.
    #[must_use]
    pub fn header(self, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(ParameterIn::Header, name, description, schema)
    }

    fn parameter(self, location: ParameterIn, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        let required = if location == ParameterIn::Path { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new().parameter_in(location).name(name).required(required);
        let parameter = parameter.description(Some(description)).schema(Some(schema));
        Self { operation: self.operation.parameter(parameter), ..self }
    }

    /// Adds a required JSON body.
    #[must_use]
    pub fn body<T: ToSchema>(self, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(reference::<T>())).example(Some(example));
        let body =
            RequestBodyBuilder::new().content("application/json", content.build()).required(Some(Required::True));
        Self { operation: self.operation.request_body(Some(body.build())), ..self }.add_schema::<T>()
    }

    /// Sets the example for the successful response that is added next.
    #[must_use]
    pub fn example(self, example: Value) -> Self {
        Self { example: Some(example), ..self }
    }

    /// Adds a successful response with a JSON body.
    #[must_use]
    pub fn response<T: ToSchema>(self, status: StatusCode, description: &str, headers: &[(&str, Header)]) -> Self {
        self.response_of(status, reference::<T>(), description, headers).add_schema::<T>()
    }

    /// Adds a successful response with a JSON body of this schema.
    fn response_of(
        mut self,
        status: StatusCode,
        schema: impl Into<RefOr<Schema>>,
        description: &str,
        headers: &[(&str, Header)],
    ) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).example(self.example.take()).build();
        let response = ResponseBuilder::new().content("application/json", content);
        self.add_response(status, response, description, headers)
    }

    /// Adds a response without a body.
    #[must_use]
    pub fn empty_response(self, status: StatusCode, description: &str, headers: &[(&str, Header)]) -> Self {
        self.add_response(status, ResponseBuilder::new(), description, headers)
    }

    fn add_response(
        self,
        status: StatusCode,
        response: ResponseBuilder,
        description: &str,
        headers: &[(&str, Header)],
    ) -> Self {
        let add = |response: ResponseBuilder, (name, header): &(&str, Header)| response.header(*name, header.clone());
        let response = headers.iter().fold(response.description(description), add);
        Self { operation: self.operation.response(status.as_str(), response), ..self }
    }

    /// Adds an error response. Problems with the same status share a response.
    #[must_use]
    pub fn problem(mut self, problem: Problem) -> Self {
        self.problems.entry(problem.status.as_u16()).or_default().push(problem);
        self
    }

    fn add_named_schema(mut self, name: String, schema: impl Into<RefOr<Schema>>) -> Self {
        self.schemas.push((name, schema.into()));
        self
    }

    /// Adds the schema of `T` and the schemas that it refers to.
    fn add_schema<T: ToSchema>(mut self) -> Self {
        self.schemas.push((T::name().into(), T::schema()));
        T::schemas(&mut self.schemas);
        self
    }

    pub fn build(self) -> utoipa::openapi::path::Operation {
        let add = |operation: OperationBuilder, (status, problems): (u16, Vec<Problem>)| {
            operation.response(status.to_string(), error_response(status, &problems))
        };
        let operation = self.problems.into_iter().fold(self.operation, add);
        let refer = |operation: OperationBuilder, (name, status, _): CommonResponse| {
            operation.response(status.to_string(), Ref::from_response_name(name))
        };
        common_errors().into_iter().fold(operation, refer).build()
    }
}

/// The name, status and problems of an error response that every operation may return.
type CommonResponse = (&'static str, u16, Vec<Problem>);

fn common_errors() -> [CommonResponse; 4] {
    [
        ("Unauthorized", 401, vec![Problem::unauthorized()]),
        ("Forbidden", 403, vec![Problem::forbidden()]),
        ("Throttled", 429, vec![]),
        ("Failed", 500, vec![Problem::internal()]),
    ]
}

/// Returns the error responses that every operation may return, by name.
pub fn common_responses() -> Vec<(&'static str, Response)> {
    common_errors()
        .into_iter()
        .map(|(name, status, problems)| (name, error_response(status, &problems).build()))
        .collect()
}

/// Returns a reference to the schema of `T`.
pub fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

/// Describes the response with this status: one of the problems, or an error of API Gateway itself.
fn error_response(status: u16, problems: &[Problem]) -> ResponseBuilder {
    let mut lines: Vec<_> = problems.iter().map(|problem| format!("- `{}`: {}", problem.kind, problem.title)).collect();
    let mut response = ResponseBuilder::new();
    if !problems.is_empty() {
        let kinds =
            ObjectBuilder::new().schema_type(Type::String).enum_values(Some(problems.iter().map(|p| type_uri(p.kind))));
        let schema =
            AllOfBuilder::new().item(reference::<Problem>()).item(ObjectBuilder::new().property("type", kinds));
        let example = |problem: &Problem| {
            let value = serde_json::to_value(problem).unwrap_or_default();
            (problem.kind, ExampleBuilder::new().summary(&*problem.title).value(Some(value)).build())
        };
        let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(problems.iter().map(example));
        response = response.content("application/problem+json", content.build());
    }
    if GATEWAY_STATUSES.contains(&status) {
        lines.push("- `{\"message\"}`: an error of API Gateway itself".to_owned());
        let content = ContentBuilder::new().schema(Some(reference::<GatewayMessage>()));
        response = response.content("application/json", content.build());
    }
    if status == 503 && !problems.is_empty() {
        response = response.header("Retry-After", retry_after());
    }
    response.description(lines.join("\n"))
}

/// Describes a text that matches `pattern`.
pub fn text(pattern: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).examples([Value::from(example)])
}

/// Describes a version of a stream, from 1.
pub fn version() -> ObjectBuilder {
    number(1, MAX_VERSION)
}

/// Describes the `ETag` response header.
fn etag(noun: &str, example: &str) -> Header {
    let mut header = Header::new(text(r#"^"[1-9][0-9]*(-[0-9a-z]+)*"$"#, &format!("\"{example}\"")));
    header.description = Some(format!(
        "The version of the {noun}, with a suffix if the body depends on more. `If-Match` accepts it unchanged."
    ));
    header
}

fn retry_after() -> Header {
    let mut header = Header::new(number(1, 1));
    header.description = Some("The number of seconds to wait before a retry.".to_owned());
    header
}
