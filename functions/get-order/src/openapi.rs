//! The OpenAPI description of an order and its history.

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

use crate::history::{HistoryEvent, OrderHistory};

pub fn operations() -> Vec<Operation> {
    vec![get_order(), get_events()]
}

fn get_order() -> Operation {
    let min_version = "Returns the order at this version or a later one, even if its view is not up to date yet.";
    Operation::get("/orders/{order_id}", "getOrder", "Get an order")
        .query_parameter("min_version", min_version, version())
        .reads_order::<VersionedSchema<OrderSummary>>("The order.")
        .problem(Problem::version_not_found())
        .problem(Problem::view_parked())
}

fn get_events() -> Operation {
    Operation::get("/orders/{order_id}/events", "getOrderEvents", "Get the events of an order")
        .reads_order::<OrderHistory>("The events of the order, oldest first.")
}

/// Adds the parameters, responses and problems that both operations share.
trait OrderReadOperation {
    fn reads_order<T: ToSchema>(self, description: &str) -> Self;
}

impl OrderReadOperation for Operation {
    fn reads_order<T: ToSchema>(self, description: &str) -> Self {
        // Any text is accepted: a tag that is not a version matches nothing.
        let tags = ObjectBuilder::new().schema_type(Type::String).examples([json!("\"3\"")]);
        self.description("An order of another customer requires `orders/fulfil` or `orders/admin`.")
            .scopes(&[Scope::Read, Scope::Fulfil, Scope::Admin])
            .path_parameter("order_id", "The id of the order.", reference::<OrderId>())
            .header(
                "If-None-Match",
                "The `ETag` values of cached responses. If one is current, the response is 304.",
                tags,
            )
            .response::<T>(StatusCode::OK, description, &[("ETag", etag())])
            .empty_response(StatusCode::NOT_MODIFIED, "A cached response is current.", &[("ETag", etag())])
            .problem(Problem::malformed("A query parameter is repeated."))
            .problem(Problem::not_found())
    }
}

impl PartialSchema for HistoryEvent {
    fn schema() -> RefOr<Schema> {
        let recorded_at = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("The time when the event was recorded."));
        let commit = ObjectBuilder::new()
            .property("version", version().description(Some("The version of the order after this event.")))
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
