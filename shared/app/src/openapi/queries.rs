//! The parameters, responses and problems that all queries share.

use std::{borrow::Cow, marker::PhantomData};

use cqrs::{Aggregate, Event, openapi::Schemas};
use http::StatusCode;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, Ref, RefOr, Type,
        schema::{Schema, SchemaType},
    },
};

use super::{Operation, etag, history::HistorySchema, number, reference, text, version};
use crate::{
    Problem,
    query::list::{DEFAULT_LIMIT, MAX_LIMIT},
};

impl Operation {
    /// Adds the path parameter with the key of an instance of `A`.
    pub(super) fn key_parameter<A: Aggregate<Key: ToSchema>>(self) -> Self {
        let description = format!("The id of the {}.", A::Event::noun());
        self.path_parameter(&A::Event::key_name(), &description, reference::<A::Key>()).add_schema::<A::Key>()
    }

    /// Describes a query of one view of an instance of `A`.
    #[must_use]
    pub fn reads_view<A: Aggregate<Key: ToSchema>, V: ToSchema>(self, description: &str) -> Self {
        let noun = A::Event::noun();
        let min_version =
            format!("Returns the {noun} at this version or a later one, even if its view is not up to date yet.");
        self.query_parameter("min_version", &min_version, version())
            .reads::<A, VersionedSchema<V>>(description, "3-s1", SEEN)
            .problem(Problem::version_not_found(&noun))
            .problem(Problem::view_parked(&noun))
    }

    /// Describes a query of the events of an instance of `A`.
    #[must_use]
    pub fn reads_history<A: Aggregate<Key: ToSchema, Event: ToSchema>>(self, description: &str) -> Self {
        self.reads::<A, HistorySchema<A::Event>>(description, "3-e5d41402a", "")
    }

    fn reads<A: Aggregate<Key: ToSchema>, T: ToSchema>(self, description: &str, tag: &str, seen: &str) -> Self {
        let noun = A::Event::noun();
        // Any text is accepted: a tag that is not a version matches nothing.
        let tags = ObjectBuilder::new().schema_type(Type::String).examples([format!("\"{tag}\"")]);
        let if_none_match =
            format!("The `ETag` values of cached responses. If one is current, the response is 304.{seen}");
        self.key_parameter::<A>()
            .header("If-None-Match", &if_none_match, tags)
            .response::<T>(StatusCode::OK, description, &[("ETag", etag(&noun, tag))])
            .empty_response(StatusCode::NOT_MODIFIED, "A cached response is current.", &[("ETag", etag(&noun, tag))])
            .problem(Problem::malformed("A query parameter is repeated."))
            .problem(Problem::not_found(&noun))
    }

    /// Describes a list of views of instances of `A`: `name` is its field in the response, `R` a row. `min_version` is
    /// the pattern of an id, a colon and a version, with an example.
    #[must_use]
    pub fn lists<A: Aggregate, R: ToSchema>(self, name: &str, description: &str, min_version: (&str, &str)) -> Self {
        let noun = A::Event::noun();
        let own_write = format!(
            "`{}`, a colon and a version. The list shows that {noun} at this version or a later one, even if its view is \
             not up to date yet.",
            A::Event::key_name()
        );
        self.pages(name, R::name(), description)
            .query_parameter("min_version", &own_write, text(min_version.0, min_version.1))
            .add_schema::<VersionedSchema<R>>()
            .problem(Problem::version_not_found(&noun))
            .problem(Problem::view_parked(&noun))
    }

    /// Describes a list of rows beside views: `name` is its field in the response, `R` a row.
    #[must_use]
    pub fn lists_rows<R: ToSchema>(self, name: &str, description: &str) -> Self {
        self.pages(name, R::name(), description).add_schema::<R>()
    }

    fn pages(self, name: &str, row: Cow<'static, str>, description: &str) -> Self {
        let page_name = format!("{row}Page");
        let limit = number(1, MAX_LIMIT).default(Some(DEFAULT_LIMIT.into()));
        let next_cursor = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("The cursor of the next page, or null on the last page."));
        let rows = ArrayBuilder::new().items(Ref::from_schema_name(row));
        let page = ObjectBuilder::new().property(name, rows).property("next_cursor", next_cursor);
        let page = page.required(name).required("next_cursor").description(Some(description));
        self.query_parameter("limit", "The maximum number of rows to return.", limit)
            .query_parameter("cursor", "The `next_cursor` of the previous page.", text("^[A-Za-z0-9_-]+$", "kXq3"))
            .response_of(StatusCode::OK, Ref::from_schema_name(&page_name), description, &[])
            .add_named_schema(page_name, page)
            .problem(Problem::invalid_cursor())
    }
}

const SEEN: &str = " Otherwise the response is never older than the versions that the tags name.";
const BEHIND: &str = "Present and true if there are later changes that cannot be displayed yet.";

/// The schema of [`crate::Versioned`]: a view with its version.
#[derive(Debug)]
pub struct VersionedSchema<V>(PhantomData<V>);

impl<V: ToSchema> PartialSchema for VersionedSchema<V> {
    fn schema() -> RefOr<Schema> {
        match V::schema() {
            RefOr::T(Schema::Object(view)) => {
                let version = version().description(Some("The version of the view: that of the last folded commit."));
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

    fn schemas(schemas: &mut Schemas) {
        V::schemas(schemas);
    }
}
