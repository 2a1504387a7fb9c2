//! An order and its history, described.

use app::{
    Problem, Scope,
    openapi::{Operation, VersionedSchema, etag, reference, version},
};
use http::StatusCode;
use orders::{
    OrderEvent, OrderSummary,
    openapi::{Schemas, refer_to},
    order::OrderId,
};
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, SchemaFormat, Type, schema::AllOfBuilder, schema::Schema},
};

use crate::history::{History, HistoryEvent};

/// The operations of this function.
pub fn operations() -> Vec<Operation> {
    vec![get_order(), get_events()]
}

fn get_order() -> Operation {
    let min_version = "Shows the order at this version or a later one, whether the projector has come by or not.";
    Operation::get("/orders/{order_id}", "getOrder", "Read an order")
        .query("min_version", min_version, version())
        .reads_an_order::<VersionedSchema<OrderSummary>>("The order as it stands.")
        .problem(Problem::version_not_found())
        .problem(Problem::view_parked())
}

fn get_events() -> Operation {
    Operation::get("/orders/{order_id}/events", "getOrderEvents", "Read what happened to an order")
        .reads_an_order::<History>("What happened, oldest first.")
}

/// What both have in common.
trait ReadsAnOrder {
    fn reads_an_order<T: ToSchema>(self, description: &str) -> Self;
}

impl ReadsAnOrder for Operation {
    fn reads_an_order<T: ToSchema>(self, description: &str) -> Self {
        // Any text will do: what is no version matches none.
        let tags = ObjectBuilder::new().schema_type(Type::String).examples([json!("\"3\"")]);
        self.description("One's own; any with `orders/fulfil` or `orders/admin`.")
            .scopes(&[Scope::Read, Scope::Fulfil, Scope::Admin])
            .key("order_id", "Which order.", reference::<OrderId>())
            .header("If-None-Match", "The versions that the caller has, in quotes.", tags)
            .answer::<T>(StatusCode::OK, description, &[("ETag", etag())])
            .empty_answer(StatusCode::NOT_MODIFIED, "The caller has this version.", &[("ETag", etag())])
            .problem(Problem::malformed("A query parameter is given twice."))
            .problem(Problem::not_found())
    }
}

impl PartialSchema for HistoryEvent {
    fn schema() -> RefOr<Schema> {
        let recorded_at = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("When it happened."));
        let commit = ObjectBuilder::new()
            .property("version", version().description(Some("The order's version with it.")))
            .property("recorded_at", recorded_at)
            .required("version")
            .required("recorded_at");
        AllOfBuilder::new().item(commit).item(reference::<OrderEvent>()).into()
    }
}

impl ToSchema for HistoryEvent {
    fn schemas(schemas: &mut Schemas) {
        refer_to::<OrderEvent>(schemas);
    }
}
