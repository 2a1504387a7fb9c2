//! The parameters, responses and problems that all commands share.

use std::{borrow::Cow, marker::PhantomData};

use cqrs::{
    Aggregate, Event, Version,
    openapi::{EXAMPLE_ID, Schemas, refer_to, schema_name},
};
use cqrs_dynamodb::CommandError;
use http::StatusCode;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Header, ObjectBuilder, RefOr, schema::Schema},
};

use super::{Operation, etag, reference, text, version};
use crate::{
    Problem,
    command::{
        RemoteAggregate,
        body::unsupported_media_type,
        outcome::{problem, rejected},
        strict_json::too_large,
    },
    problem::FieldError,
};

const KEY: &str = "Identifies a repeat of this command: 1 to 255 visible ASCII characters, quoted if they contain a \
                   comma. After a timeout or a 5xx response, retry with the same key.";

impl Operation {
    /// Describes a command that creates an instance of `A`. Its `Location` is below the path of the operation.
    #[must_use]
    pub fn creates<A: RemoteAggregate<Key: ToSchema>>(self, description: &str) -> Self {
        let mut header = Header::new(text(&format!("{}/[^/]+$", self.path), &format!("{}/{EXAMPLE_ID}", self.path)));
        header.description = Some(format!("The path of the {}.", A::Event::noun()));
        let headers =
            &[("ETag", etag(&A::Event::noun(), "3")), ("Location", header), ("Idempotency-Replayed", replayed())];
        self.header("Idempotency-Key", KEY, idempotency_key())
            .example(accepted::<A>(1))
            .response::<Accepted<A>>(StatusCode::CREATED, description, headers)
            .with_command_problems::<A>()
    }

    /// Describes a command on an existing instance of `A`, whose key is the path parameter.
    #[must_use]
    pub fn changes<A: RemoteAggregate<Key: ToSchema>>(self, description: &str) -> Self {
        let noun = A::Event::noun();
        let if_match_text = format!(
            "The version that the {noun} must have, in quotes, or an `ETag` that names it, or `*` for any version."
        );
        self.key_parameter::<A>()
            .header("Idempotency-Key", KEY, idempotency_key())
            .header("If-Match", &if_match_text, if_match())
            .example(accepted::<A>(2))
            .response::<Accepted<A>>(
                StatusCode::OK,
                description,
                &[("ETag", etag(&noun, "3")), ("Idempotency-Replayed", replayed())],
            )
            .problem(Problem::not_found(&noun))
            .problem(problem::<A>(CommandError::VersionMismatch { version: Version::new(3) }))
            .with_command_problems::<A>()
    }

    /// Adds a rejection of the command.
    #[must_use]
    pub fn rejects<A: RemoteAggregate>(self, rejection: A::Rejection) -> Self {
        self.problem(rejected(rejection, &A::default(), Version::new(3)))
    }

    fn with_command_problems<A: RemoteAggregate>(self) -> Self {
        let invalid_field =
            FieldError { pointer: "/name".to_owned(), detail: "must have 1 to 64 characters".to_owned() };
        self.problem(Problem::malformed("The body is not valid JSON."))
            .problem(too_large())
            .problem(unsupported_media_type())
            .problem(Problem::invalid(vec![invalid_field]))
            .problem(problem::<A>(CommandError::IdempotencyKeyReused))
            .problem(problem::<A>(CommandError::Contended))
            .problem(Problem::outcome_unknown())
    }
}

fn idempotency_key() -> ObjectBuilder {
    // API Gateway joins a repeated header with commas. Equal keys count as one.
    text(r"^([!#-+\--~]{1,255})(,\1)*$", "a8098c1a-f86e-11da-bd1a-00112444be1e")
}

fn if_match() -> ObjectBuilder {
    text(r#"^(\*|"(0|[1-9][0-9]{0,15})(-[0-9a-z]+)*")$"#, "\"1\"")
}

fn replayed() -> Header {
    let mut header = Header::new(text("^true$", "true"));
    header.description = Some("Present if an earlier request with the same key executed the command.".to_owned());
    header
}

/// An example of the response to an executed command. The key is the first example of its schema.
fn accepted<A: RemoteAggregate<Key: ToSchema>>(version: u64) -> Value {
    let key = match A::Key::schema() {
        RefOr::T(Schema::Object(key)) => key.examples.into_iter().next(),
        _ => None,
    };
    json!({ A::Event::key_name(): key.unwrap_or_else(|| EXAMPLE_ID.into()), "status": "accepted", "version": version })
}

/// The schema of the response to an executed command.
struct Accepted<A>(PhantomData<A>);

impl<A: Aggregate<Key: ToSchema>> PartialSchema for Accepted<A> {
    fn schema() -> RefOr<Schema> {
        let (noun, key) = (A::Event::noun(), A::Event::key_name());
        let status = text("^accepted$", "accepted").description(Some("Always `accepted`."));
        let version = version().description(Some(format!("The version of the {noun} after this command.")));
        let object = ObjectBuilder::new().property(key.clone(), reference::<A::Key>()).property("status", status);
        let object = object.property("version", version).required(key).required("status").required("version");
        object.description(Some("The response to an executed command.")).into()
    }
}

impl<A: Aggregate<Key: ToSchema>> ToSchema for Accepted<A> {
    fn name() -> Cow<'static, str> {
        schema_name::<A::Event>("Accepted").into()
    }

    fn schemas(schemas: &mut Schemas) {
        refer_to::<A::Key>(schemas);
    }
}
