//! The schema of a history: each type of event has a schema of its own.

use std::{borrow::Cow, marker::PhantomData};

use cqrs::{
    Event,
    openapi::{Schemas, camel_case, schema_name},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, Discriminator, KnownFormat, ObjectBuilder, OneOfBuilder, Ref, RefOr, SchemaFormat, Type,
        schema::{Object, Schema},
    },
};

use super::version;

/// The schema of the events of a stream.
///
/// Client generators need a name for each variant, and the property that distinguishes the variants. So an event of the
/// type `order.placed` has the schema `OrderPlacedEvent`, which includes the version and the time of the event.
pub(super) struct HistorySchema<E>(PhantomData<E>);

impl<E: Event + ToSchema> PartialSchema for HistorySchema<E> {
    fn schema() -> RefOr<Schema> {
        let event = Ref::from_schema_name(schema_name::<E>("HistoryEvent"));
        let events = ArrayBuilder::new().items(event).description(Some("Oldest first."));
        let history = ObjectBuilder::new().property("events", events).required("events");
        history.description(Some(format!("The events of one {}.", E::noun()))).into()
    }
}

impl<E: Event + ToSchema> ToSchema for HistorySchema<E> {
    fn name() -> Cow<'static, str> {
        schema_name::<E>("History").into()
    }

    fn schemas(schemas: &mut Schemas) {
        let RefOr::T(Schema::OneOf(events)) = E::schema() else {
            // The schema of an event enum is always a `oneOf`. Otherwise a test finds a reference without a schema.
            return;
        };
        let variants: Vec<(String, Object)> = events.items.into_iter().filter_map(variant).collect();
        let reference = |event_type: &str| Ref::from_schema_name(variant_name(event_type));
        let mapping = variants.iter().map(|(event_type, _)| (event_type, reference(event_type).ref_location));
        let one_of = variants.iter().fold(OneOfBuilder::new(), |one_of, (name, _)| one_of.item(reference(name)));
        let one_of = one_of.discriminator(Some(Discriminator::with_mapping("type", mapping)));
        let event = one_of.description(Some(format!("An event of one {}.", E::noun())));
        schemas.push((schema_name::<E>("HistoryEvent"), event.into()));
        for (event_type, variant) in variants {
            schemas.push((variant_name(&event_type), recorded::<E>(variant).into()));
        }
        E::schemas(schemas);
    }
}

fn variant_name(event_type: &str) -> String {
    camel_case(event_type) + "Event"
}

/// Returns the type of an event with its schema.
fn variant(variant: RefOr<Schema>) -> Option<(String, Object)> {
    let RefOr::T(Schema::Object(variant)) = variant else { return None };
    let RefOr::T(Schema::Object(event_type)) = variant.properties.get("type")? else { return None };
    let event_type = event_type.enum_values.as_ref()?.first()?.as_str()?.to_owned();
    Some((event_type, variant))
}

/// Adds the version and the time of an event to its schema.
fn recorded<E: Event>(variant: Object) -> ObjectBuilder {
    let recorded_at = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("The time when the event was recorded."));
    let after = format!("The version of the {} after this event.", E::noun());
    ObjectBuilder::from(variant)
        .property("version", version().description(Some(after)))
        .property("recorded_at", recorded_at)
        .required("version")
        .required("recorded_at")
}
