//! OpenAPI schemas of the domain's values. Their bounds come from the types.

use std::borrow::Cow;

use iso_currency::IntoEnumIterator;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, Ref, RefOr, Type,
        schema::{ArrayBuilder, Schema},
    },
};

use crate::{
    Status,
    order::{Bounded, Currency, MAX_ITEMS, OrderId, OrderItem, OrderItems, Text},
};

/// Schemas that another schema refers to, by name.
pub type Schemas = Vec<(String, RefOr<Schema>)>;

/// Matches text without the characters that [`Text`] forbids.
const TEXT: &str = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*$";
/// Matches a UUID in the spelling of [`OrderId`].
const ORDER_ID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

impl<const MAX: usize> PartialSchema for Text<MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX))
            .pattern(Some(TEXT))
            .description(Some("Must not contain control or bidirectional formatting characters."))
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
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        number.minimum(Some(MIN)).maximum(Some(MAX)).into()
    }
}

impl<const MIN: u64, const MAX: u64> ToSchema for Bounded<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        format!("From{MIN}To{MAX}").into()
    }
}

impl PartialSchema for OrderId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(ORDER_ID))
            .description(Some("A UUID in lower case with dashes."))
            .examples([json!("27debfb8-bd42-8131-9d45-532727018fe6")])
            .into()
    }
}

impl ToSchema for OrderId {}

impl PartialSchema for OrderItems {
    fn schema() -> RefOr<Schema> {
        items_of::<OrderItem>()
    }
}

impl ToSchema for OrderItems {
    fn schemas(schemas: &mut Schemas) {
        refer_to::<OrderItem>(schemas);
    }
}

/// Returns the schema of an array with 1 to [`MAX_ITEMS`] of `T`.
pub fn items_of<T: ToSchema>() -> RefOr<Schema> {
    let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name()));
    items.min_items(Some(1)).max_items(Some(MAX_ITEMS)).into()
}

/// Adds the schema of `T` and every schema that it refers to.
pub fn refer_to<T: ToSchema>(schemas: &mut Schemas) {
    schemas.push((T::name().into(), T::schema()));
    T::schemas(schemas);
}

/// The schema of a [`Currency`].
#[derive(Debug)]
pub struct CurrencyCode;

impl PartialSchema for CurrencyCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Currency::iter().map(|currency| Value::from(currency.code()))))
            .description(Some("An ISO 4217 currency code."))
            .examples([json!("EUR")])
            .into()
    }
}

impl ToSchema for CurrencyCode {}

/// The schema of an object with a count for each [`Status`].
#[derive(Debug)]
pub struct CountByStatus;

impl PartialSchema for CountByStatus {
    fn schema() -> RefOr<Schema> {
        let count = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let add =
            |object: ObjectBuilder, status: Status| object.property(status.as_str(), count()).required(status.as_str());
        Status::ALL.into_iter().fold(ObjectBuilder::new(), add).into()
    }
}

impl ToSchema for CountByStatus {}

/// The schema of an object with an amount for each currency.
#[derive(Debug)]
pub struct Revenue;

impl PartialSchema for Revenue {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property_names(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Z]{3}$"))))
            .additional_properties(Some(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0))))
            .description(Some("Amounts in minor units, by currency."))
            .examples([json!({ "EUR": 2500 })])
            .into()
    }
}

impl ToSchema for Revenue {}
