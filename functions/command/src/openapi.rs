//! The commands, described.

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

/// The operations of this function.
pub fn operations() -> Vec<Operation> {
    vec![place_order(), ship_order(), deliver_order(), cancel_order()]
}

fn place_order() -> Operation {
    Operation::post("/orders", "placeOrder", "Place an order")
        .description("For the caller; for another customer with `orders/admin`.")
        .scopes(&[Scope::Write, Scope::Admin])
        .header("Idempotency-Key", KEY, idempotency_key())
        .body::<PlaceOrderDocument>(json!({
            "currency": "EUR",
            "items": [{ "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 }],
            "shipping_address": "1 Main Street, Springfield",
        }))
        .answer::<Accepted>(
            StatusCode::CREATED,
            "The order is placed.",
            &[("ETag", etag()), ("Location", location()), ("Idempotency-Replayed", replayed())],
        )
        .problem(rejected(OrderRejection::AlreadyPlaced))
        .may_meet_what_any_command_may()
}

fn ship_order() -> Operation {
    Operation::post("/orders/{order_id}/ship", "shipOrder", "Hand an order over to a carrier")
        .scopes(&[Scope::Fulfil, Scope::Admin])
        .body::<ShipOrderDocument>(json!({ "carrier": "DHL", "tracking_number": "JD0123456789" }))
        .changes_an_order("The order is on its way.")
        .problem(rejected(OrderRejection::AlreadyShipped))
        .problem(rejected(OrderRejection::AlreadyDelivered))
        .problem(rejected(OrderRejection::AlreadyCancelled))
}

fn deliver_order() -> Operation {
    Operation::post("/orders/{order_id}/deliver", "deliverOrder", "Say that an order has arrived")
        .scopes(&[Scope::Fulfil, Scope::Admin])
        .body::<DeliverOrderDocument>(json!({}))
        .changes_an_order("The order is delivered.")
        .problem(rejected(OrderRejection::NotShipped))
        .problem(rejected(OrderRejection::AlreadyDelivered))
}

fn cancel_order() -> Operation {
    Operation::post("/orders/{order_id}/cancel", "cancelOrder", "Call an order off")
        .description("One's own; any with `orders/admin`.")
        .scopes(&[Scope::Write, Scope::Admin])
        .body::<CancelOrderDocument>(json!({ "reason": "changed my mind" }))
        .changes_an_order("The order is cancelled.")
        .problem(rejected(OrderRejection::AlreadyShipped))
        .problem(rejected(OrderRejection::AlreadyDelivered))
        .problem(rejected(OrderRejection::AlreadyCancelled))
}

/// What several commands have in common.
trait Command {
    fn changes_an_order(self, description: &str) -> Self;
    fn may_meet_what_any_command_may(self) -> Self;
}

impl Command for Operation {
    fn changes_an_order(self, description: &str) -> Self {
        self.key("order_id", "Which order.", reference::<OrderId>())
            .header("Idempotency-Key", KEY, idempotency_key())
            .header("If-Match", "The version that the order must have, in quotes; `*` is any.", if_match())
            .answer::<Accepted>(StatusCode::OK, description, &[("ETag", etag()), ("Idempotency-Replayed", replayed())])
            .problem(Problem::not_found())
            .problem(outcome::problem(CommandError::VersionMismatch { version: Version::new(3) }))
            .may_meet_what_any_command_may()
    }

    fn may_meet_what_any_command_may(self) -> Self {
        let wrong = FieldError {
            pointer: "/items/0/quantity".to_owned(),
            detail: "must be a whole number from 1 to 10000".to_owned(),
        };
        self.problem(Problem::malformed("The body is not JSON."))
            .problem(body::too_large())
            .problem(body::not_json())
            .problem(Problem::invalid(vec![wrong]))
            .problem(outcome::problem(CommandError::IdempotencyKeyReused))
            .problem(outcome::problem(CommandError::Contended))
            .problem(Problem::outcome_unknown())
    }
}

/// The answer to a command that the business does not allow.
fn rejected(rejection: OrderRejection) -> Problem {
    outcome::problem(CommandError::Rejected { rejection, state: Order::default(), version: Version::new(3) })
}

const KEY: &str = "Under which a repeat of this command is recognised: bare, or in quotes if it has a comma. Send the \
                   same key after a timeout or a 5xx.";

fn idempotency_key() -> ObjectBuilder {
    // A header that came twice is joined by a comma on its way; equal keys count once.
    text(r"^([!#-+\--~]{1,255})(,\1)*$", "a8098c1a-f86e-11da-bd1a-00112444be1e")
}

fn if_match() -> AnyOfBuilder {
    let any = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["*"]));
    AnyOfBuilder::new().item(text(r#"^"(0|[1-9][0-9]{0,15})"$"#, "\"1\"")).item(any)
}

fn location() -> Header {
    let mut header = Header::new(text("^/orders/[0-9a-f-]{36}$", "/orders/27debfb8-bd42-8131-9d45-532727018fe6"));
    header.description = Some("Where the order is.".to_owned());
    header
}

fn replayed() -> Header {
    let mut header = Header::new(text("^true$", "true"));
    header.description = Some("There if this is the answer to a command that was carried out before.".to_owned());
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
