//! OpenAPI schemas of the values of this crate. Their bounds come from the types.

use std::borrow::Cow;

use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, SchemaFormat, Type, schema::Schema},
};

use crate::{Aggregate, Bounded, Day, Event, Id, SubjectId, Text, Time};

/// Schemas that another schema refers to, by name.
pub type Schemas = Vec<(String, RefOr<Schema>)>;

/// Matches text without the characters up to U+FFFF that [`Text`] forbids. For the forbidden characters above U+FFFF,
/// ECMA-262 needs surrogate pairs, which other dialects of regular expressions do not support.
const TEXT: &str = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff]*$";
/// Matches a UUID in the spelling of [`Id`], without anchors.
pub const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
/// An example of an [`Id`].
pub const EXAMPLE_ID: &str = "27debfb8-bd42-8131-9d45-532727018fe6";

/// Adds the schema of `T` and every schema that it refers to.
pub fn refer_to<T: ToSchema>(schemas: &mut Schemas) {
    schemas.push((T::name().into(), T::schema()));
    T::schemas(schemas);
}

/// Returns the name of a schema that belongs to a category of streams: `GiftCard` and a suffix for `gift-card`.
pub fn schema_name<E: Event>(suffix: &str) -> String {
    camel_case(E::CATEGORY) + suffix
}

/// Joins the words of a name: `GiftCardOpened` for `gift-card.opened`.
pub fn camel_case(name: &str) -> String {
    let capitalized = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    name.split(['-', '.', '_']).map(capitalized).collect()
}

/// Describes an integer from `min` to `max`. Its format tells generated clients how many bits it needs.
pub fn integer(min: u64, max: u64) -> ObjectBuilder {
    let format = if i32::try_from(max).is_ok() { KnownFormat::Int32 } else { KnownFormat::Int64 };
    let number = ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(format)));
    number.minimum(Some(min)).maximum(Some(max))
}

impl<const MAX: usize> PartialSchema for Text<MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX))
            .pattern(Some(TEXT))
            .description(Some(
                "Must have a visible character, and no control characters or hidden formatting characters.",
            ))
            .into()
    }
}

impl<const MAX: usize> ToSchema for Text<MAX> {
    fn name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }
}

impl<const MIN: u64, const MAX: u64> PartialSchema for Bounded<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        integer(MIN, MAX).into()
    }
}

impl<const MIN: u64, const MAX: u64> ToSchema for Bounded<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        format!("From{MIN}To{MAX}").into()
    }
}

impl<A: Aggregate> PartialSchema for Id<A> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!("^{UUID}$")))
            .description(Some("A UUID in lower case with dashes."))
            .examples([json!(EXAMPLE_ID)])
            .into()
    }
}

impl<A: Aggregate> ToSchema for Id<A> {
    fn name() -> Cow<'static, str> {
        schema_name::<A::Event>("Id").into()
    }
}

impl PartialSchema for SubjectId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(Self::MAX))
            .description(Some(
                "The `sub` claim of the subject's token. Must have a visible character, and not be `.` or `..`.",
            ))
            .examples([json!("alice")])
            .into()
    }
}

impl ToSchema for SubjectId {}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        format(KnownFormat::DateTime)
    }
}

impl ToSchema for Time {}

impl PartialSchema for Day {
    fn schema() -> RefOr<Schema> {
        format(KnownFormat::Date)
    }
}

impl ToSchema for Day {}

fn format(format: KnownFormat) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format))).into()
}
