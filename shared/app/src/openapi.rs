//! How a function describes its operations (OpenAPI 3.1). Compiled for the local stack alone: no function carries it.
//!
//! What all operations have in common stands here: who may ask, the problems that anything may meet, and what API
//! Gateway answers by itself. The problems are described by themselves: their types, titles and examples are those of
//! the values that are answered.

use std::{borrow::Cow, collections::BTreeMap, marker::PhantomData};

use http::StatusCode;
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, Header, HttpMethod, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Type,
        example::ExampleBuilder,
        path::{OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{AllOfBuilder, Schema},
        security::SecurityRequirement,
    },
};

use crate::{Problem, Scope, parameters::MAX_VERSION};

/// The name of the security scheme: a bearer token.
pub const BEARER: &str = "bearer";
/// What API Gateway answers by itself, where it may: no or a bad token, no scope, no such route, too much, a failure.
const OF_THE_GATEWAY: [u16; 7] = [401, 403, 404, 413, 429, 500, 503];

/// What API Gateway answers by itself.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "it is described, never built")]
pub struct GatewayMessage {
    /// What is wrong.
    message: String,
}

/// An operation, described.
pub struct Operation {
    /// The method of its route.
    pub method: HttpMethod,
    /// The path of its route.
    pub path: &'static str,
    /// The schemas that it refers to, by name.
    pub schemas: Vec<(String, RefOr<Schema>)>,
    described: OperationBuilder,
    problems: BTreeMap<u16, Vec<Problem>>,
}

impl Operation {
    /// `GET` on `path`, called `id` by programs.
    pub fn get(path: &'static str, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Get, path, id, summary)
    }

    /// `POST` on `path`, called `id` by programs.
    pub fn post(path: &'static str, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Post, path, id, summary)
    }

    fn new(method: HttpMethod, path: &'static str, id: &str, summary: &str) -> Self {
        let described = OperationBuilder::new().operation_id(Some(id)).summary(Some(summary));
        let operation = Self { method, path, schemas: Vec::new(), described, problems: BTreeMap::new() };
        operation.referring_to::<Problem>().referring_to::<GatewayMessage>().problem(Problem::unavailable())
    }

    /// The same, with more words on it.
    #[must_use]
    pub fn description(self, description: &str) -> Self {
        Self { described: self.described.description(Some(description)), ..self }
    }

    /// The same, for callers with one of these scopes.
    #[must_use]
    pub fn scopes(self, scopes: &[Scope]) -> Self {
        let needs = scopes.iter().map(|scope| SecurityRequirement::new(BEARER, [scope.as_str()]));
        Self { described: self.described.securities(Some(needs)), ..self }
    }

    /// The same, with this in its path.
    #[must_use]
    pub fn key(self, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(ParameterIn::Path, name, description, schema)
    }

    /// The same, with this parameter in the query, which may be left out.
    #[must_use]
    pub fn query(self, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(ParameterIn::Query, name, description, schema)
    }

    /// The same, with this header, which may be left out.
    #[must_use]
    pub fn header(self, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(ParameterIn::Header, name, description, schema)
    }

    fn parameter(self, place: ParameterIn, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        let required = if place == ParameterIn::Path { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new().parameter_in(place).name(name).required(required);
        let parameter = parameter.description(Some(description)).schema(Some(schema));
        Self { described: self.described.parameter(parameter), ..self }
    }

    /// The same, with a body, and all that may be wrong with one.
    #[must_use]
    pub fn body<T: ToSchema>(self, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(reference::<T>())).example(Some(example));
        let body =
            RequestBodyBuilder::new().content("application/json", content.build()).required(Some(Required::True));
        Self { described: self.described.request_body(Some(body.build())), ..self }.referring_to::<T>()
    }

    /// The same, which answers so when nothing is wrong.
    #[must_use]
    pub fn answer<T: ToSchema>(self, status: StatusCode, description: &str, headers: &[(&str, Header)]) -> Self {
        let content = ContentBuilder::new().schema(Some(reference::<T>())).build();
        let response = ResponseBuilder::new().content("application/json", content);
        self.response(status, response, description, headers).referring_to::<T>()
    }

    /// The same, which answers so, without a body.
    #[must_use]
    pub fn empty_answer(self, status: StatusCode, description: &str, headers: &[(&str, Header)]) -> Self {
        self.response(status, ResponseBuilder::new(), description, headers)
    }

    fn response(
        self,
        status: StatusCode,
        response: ResponseBuilder,
        description: &str,
        headers: &[(&str, Header)],
    ) -> Self {
        let add = |response: ResponseBuilder, (name, header): &(&str, Header)| response.header(*name, header.clone());
        let response = headers.iter().fold(response.description(description), add);
        Self { described: self.described.response(status.as_str(), response), ..self }
    }

    /// The same, which may meet this problem too.
    #[must_use]
    pub fn problem(mut self, problem: Problem) -> Self {
        self.problems.entry(problem.status.as_u16()).or_default().push(problem);
        self
    }

    fn referring_to<T: ToSchema>(mut self) -> Self {
        self.schemas.push((T::name().into(), T::schema()));
        T::schemas(&mut self.schemas);
        self
    }

    /// All of it.
    pub fn build(self) -> utoipa::openapi::path::Operation {
        let add = |operation: OperationBuilder, (status, problems): (u16, Vec<Problem>)| {
            operation.response(status.to_string(), response_of(status, &problems))
        };
        let described = self.problems.into_iter().fold(self.described, add);
        let refer = |operation: OperationBuilder, (name, status, _): Common| {
            operation.response(status.to_string(), Ref::from_response_name(name))
        };
        common().into_iter().fold(described, refer).build()
    }
}

/// An answer that any operation may give: its name, its status and its problems.
type Common = (&'static str, u16, Vec<Problem>);

fn common() -> [Common; 4] {
    [
        ("Unauthorized", 401, vec![Problem::unauthorized()]),
        ("Forbidden", 403, vec![Problem::forbidden()]),
        ("Throttled", 429, vec![]),
        ("Failed", 500, vec![Problem::internal()]),
    ]
}

/// The answers that any operation may give, by name.
pub fn common_responses() -> Vec<(&'static str, Response)> {
    common().into_iter().map(|(name, status, problems)| (name, response_of(status, &problems).build())).collect()
}

/// A reference to the schema of `T`.
pub fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

/// The answer with this status: one of these problems, or what API Gateway says by itself.
fn response_of(status: u16, problems: &[Problem]) -> ResponseBuilder {
    let mut lines: Vec<_> = problems.iter().map(|problem| format!("- `{}`: {}", problem.kind, problem.title)).collect();
    let mut response = ResponseBuilder::new();
    if !problems.is_empty() {
        let kinds = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(problems.iter().map(|p| p.kind)));
        let schema =
            AllOfBuilder::new().item(reference::<Problem>()).item(ObjectBuilder::new().property("type", kinds));
        let example = |problem: &Problem| {
            let value = serde_json::to_value(problem).unwrap_or_default();
            (problem.kind, ExampleBuilder::new().summary(problem.title).value(Some(value)).build())
        };
        let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(problems.iter().map(example));
        response = response.content("application/problem+json", content.build());
    }
    if OF_THE_GATEWAY.contains(&status) {
        lines.push("- `{\"message\"}`: an answer of API Gateway's own".to_owned());
        let content = ContentBuilder::new().schema(Some(reference::<GatewayMessage>()));
        response = response.content("application/json", content.build());
    }
    if status == 503 && !problems.is_empty() {
        response = response.header("Retry-After", retry_after());
    }
    response.description(lines.join("\n"))
}

/// A whole number within bounds.
pub fn number(min: u64, max: u64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max))
}

/// Text like this.
pub fn text(pattern: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).examples([Value::from(example)])
}

/// A version of an order, from 1.
pub fn version() -> ObjectBuilder {
    number(1, MAX_VERSION)
}

/// The header that tells the version of what is answered.
pub fn etag() -> Header {
    let mut header = Header::new(text(r#"^"[1-9][0-9]*"$"#, "\"3\""));
    header.description = Some("The version, in quotes.".to_owned());
    header
}

fn retry_after() -> Header {
    let mut header = Header::new(number(1, 1));
    header.description = Some("After how many seconds to try again.".to_owned());
    header
}

const BEHIND: &str = "There, and true, if the order was changed since in a way that cannot be shown yet.";

/// The schema of a view with its version, as [`cqrs_dynamodb::Versioned`] is answered.
#[derive(Debug)]
pub struct VersionedSchema<V>(PhantomData<V>);

impl<V: ToSchema> PartialSchema for VersionedSchema<V> {
    fn schema() -> RefOr<Schema> {
        match V::schema() {
            RefOr::T(Schema::Object(view)) => {
                let version = version().description(Some("The last commit that is in it."));
                let behind = ObjectBuilder::new().schema_type(Type::Boolean).description(Some(BEHIND));
                let view = ObjectBuilder::from(view).property("version", version).required("version");
                view.property("behind", behind).into()
            }
            other => other,
        }
    }
}

impl<V: ToSchema> ToSchema for VersionedSchema<V> {
    fn name() -> Cow<'static, str> {
        V::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        V::schemas(schemas);
    }
}
