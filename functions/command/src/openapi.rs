//! The OpenAPI description of the commands.

use app::{
    Problem, Scope,
    openapi::{Operation, etag, reference, text},
    problem::FieldError,
};
use cqrs::Version;
use cqrs_dynamodb::CommandError;
use http::StatusCode;
pub(crate) use orders::openapi::CurrencyCode;
use orders::{
    Order, OrderRejection,
    openapi::{Schemas, items_of, refer_to},
    order::OrderId,
};
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Header, ObjectBuilder, RefOr, Type,
        schema::{AnyOfBuilder, Schema},
    },
};

use crate::{
    body,
    documents::{CancelOrderDocument, DeliverOrderDocument, ItemDocument, PlaceOrderDocument, ShipOrderDocument},
    outcome::{self, Accepted},
};

pub fn operations() -> Vec<Operation> {
    vec![place_order(), ship_order(), deliver_order(), cancel_order()]
}

fn place_order() -> Operation {
    Operation::post("/orders", "placeOrder", "Place an order")
        .description("Places an order for the caller. An order for another customer requires `orders/admin`.")
        .scopes(&[Scope::Write, Scope::Admin])
        .header("Idempotency-Key", KEY, idempotency_key())
        .body::<PlaceOrderDocument>(json!({
            "currency": "EUR",
            "items": [{ "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 }],
            "shipping_address": "1 Main Street, Springfield",
        }))
        .response::<Accepted>(
            StatusCode::CREATED,
            "The order was placed.",
            &[("ETag", etag()), ("Location", location()), ("Idempotency-Replayed", replayed())],
        )
        .problem(rejected(OrderRejection::AlreadyPlaced))
        .with_command_problems()
}

fn ship_order() -> Operation {
    Operation::post("/orders/{order_id}/ship", "shipOrder", "Ship an order")
        .scopes(&[Scope::Fulfil, Scope::Admin])
        .body::<ShipOrderDocument>(json!({ "carrier": "DHL", "tracking_number": "JD0123456789" }))
        .changes_order("The order was shipped.")
        .problem(rejected(OrderRejection::AlreadyShipped))
        .problem(rejected(OrderRejection::AlreadyDelivered))
        .problem(rejected(OrderRejection::AlreadyCancelled))
}

fn deliver_order() -> Operation {
    Operation::post("/orders/{order_id}/deliver", "deliverOrder", "Mark an order as delivered")
        .scopes(&[Scope::Fulfil, Scope::Admin])
        .body::<DeliverOrderDocument>(json!({}))
        .changes_order("The order was delivered.")
        .problem(rejected(OrderRejection::NotShipped))
        .problem(rejected(OrderRejection::AlreadyDelivered))
}

fn cancel_order() -> Operation {
    Operation::post("/orders/{order_id}/cancel", "cancelOrder", "Cancel an order")
        .description("Cancels an order of the caller. An order of another customer requires `orders/admin`.")
        .scopes(&[Scope::Write, Scope::Admin])
        .body::<CancelOrderDocument>(json!({ "reason": "changed my mind" }))
        .changes_order("The order was cancelled.")
        .problem(rejected(OrderRejection::AlreadyShipped))
        .problem(rejected(OrderRejection::AlreadyDelivered))
        .problem(rejected(OrderRejection::AlreadyCancelled))
}

/// Adds the parameters, responses and problems that commands share.
trait CommandOperation {
    fn changes_order(self, description: &str) -> Self;
    fn with_command_problems(self) -> Self;
}

impl CommandOperation for Operation {
    fn changes_order(self, description: &str) -> Self {
        self.path_parameter("order_id", "The id of the order.", reference::<OrderId>())
            .header("Idempotency-Key", KEY, idempotency_key())
            .header("If-Match", "The version that the order must have, in quotes, or `*` for any version.", if_match())
            .response::<Accepted>(
                StatusCode::OK,
                description,
                &[("ETag", etag()), ("Idempotency-Replayed", replayed())],
            )
            .problem(Problem::not_found())
            .problem(outcome::problem(CommandError::VersionMismatch { version: Version::new(3) }))
            .with_command_problems()
    }

    fn with_command_problems(self) -> Self {
        let invalid_field = FieldError {
            pointer: "/items/0/quantity".to_owned(),
            detail: "must be a whole number from 1 to 10000".to_owned(),
        };
        self.problem(Problem::malformed("The body is not valid JSON."))
            .problem(body::too_large())
            .problem(body::unsupported_media_type())
            .problem(Problem::invalid(vec![invalid_field]))
            .problem(outcome::problem(CommandError::IdempotencyKeyReused))
            .problem(outcome::problem(CommandError::Contended))
            .problem(Problem::outcome_unknown())
    }
}

fn rejected(rejection: OrderRejection) -> Problem {
    outcome::problem(CommandError::Rejected { rejection, state: Order::default(), version: Version::new(3) })
}

const KEY: &str = "Identifies a repeat of this command: 1 to 255 visible ASCII characters, quoted if they contain a \
                   comma. After a timeout or a 5xx response, retry with the same key.";

fn idempotency_key() -> ObjectBuilder {
    // API Gateway joins a repeated header with commas. Equal keys count as one.
    text(r"^([!#-+\--~]{1,255})(,\1)*$", "a8098c1a-f86e-11da-bd1a-00112444be1e")
}

fn if_match() -> AnyOfBuilder {
    let any = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["*"]));
    AnyOfBuilder::new().item(text(r#"^"(0|[1-9][0-9]{0,15})"$"#, "\"1\"")).item(any)
}

fn location() -> Header {
    let mut header = Header::new(text("^/orders/[0-9a-f-]{36}$", "/orders/27debfb8-bd42-8131-9d45-532727018fe6"));
    header.description = Some("The path of the order.".to_owned());
    header
}

fn replayed() -> Header {
    let mut header = Header::new(text("^true$", "true"));
    header.description = Some("Present if an earlier request with the same key executed the command.".to_owned());
    header
}

/// The schema of the items in the body of `POST /orders`.
pub(crate) struct NewItems;

impl PartialSchema for NewItems {
    fn schema() -> RefOr<Schema> {
        items_of::<ItemDocument>()
    }
}

impl ToSchema for NewItems {
    fn schemas(schemas: &mut Schemas) {
        refer_to::<ItemDocument>(schemas);
    }
}
