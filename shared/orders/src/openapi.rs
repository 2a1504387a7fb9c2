//! OpenAPI schemas of the domain's values, whose bounds come from the types, and sample events.

use cqrs::{
    EventRecord, ProcessEvent,
    openapi::{Schemas, refer_to},
    process::{ProcessFact, TimerFact},
};
use iso_currency::IntoEnumIterator;
use serde_json::{Value, json};
use strum::VariantArray;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, Ref, RefOr, Type,
        schema::{ArrayBuilder, Schema},
    },
};

use crate::{
    OrderEvent, ShippingDeadline, Status,
    order::{Currency, MAX_ITEMS, OrderItem, OrderItems, is_in_use},
    shipping_deadline::ShippingTimer,
};

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

/// The schema of a [`Currency`].
#[derive(Debug)]
pub struct CurrencyCode;

impl PartialSchema for CurrencyCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(
                Currency::iter().filter(|currency| is_in_use(*currency)).map(|currency| Value::from(currency.code())),
            ))
            .description(Some("The ISO 4217 code of a currency in use."))
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
        let count = || u64::schema();
        let add = |object: ObjectBuilder, status: &Status| {
            object.property(<&str>::from(status), count()).required(<&str>::from(status))
        };
        Status::VARIANTS.iter().fold(ObjectBuilder::new(), add).into()
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
            .additional_properties(Some(
                ObjectBuilder::new().schema_type(Type::String).pattern(Some("^(0|[1-9][0-9]*)$")),
            ))
            .description(Some(
                "Amounts in minor units, by currency. Each is a decimal string, because a sum may exceed 2^53.",
            ))
            .examples([json!({ "EUR": "2500" })])
            .into()
    }
}

impl ToSchema for Revenue {}

/// Returns two orders, with one event of each type: one is delivered and one is cancelled. The events are those of the
/// golden files.
pub fn samples() -> Vec<Vec<OrderEvent>> {
    let decode = |file: &str| serde_json::from_str::<EventRecord>(file).ok()?.decode().ok();
    let placed = include_str!("../golden/order.placed.v1.json");
    let shipped = include_str!("../golden/order.shipped.v1.json");
    let delivered = include_str!("../golden/order.delivered.v1.json");
    let cancelled = include_str!("../golden/order.cancelled.v1.json");
    let order = |files: &[&str]| files.iter().filter_map(|file| decode(file)).collect();
    vec![order(&[placed, shipped, delivered]), order(&[placed, cancelled])]
}

/// Returns the facts of one instance of the shipping deadline, up to its reminder.
pub fn reminder_samples() -> Vec<Vec<ProcessEvent<ShippingDeadline>>> {
    let due = "2026-11-28T10:00:00Z".parse();
    let fired = due.map(|due| {
        ProcessFact::TimerFired(TimerFact { timer: <&str>::from(ShippingTimer::Remind).to_owned(), due }).into()
    });
    vec![fired.into_iter().collect()]
}
