//! The rules of an order in given/when/then, and the stored form of its events and canonical requests.

use cqrs::spec::{assert_golden, given};
use strum::VariantArray;

use super::{
    OrderRejection::{AlreadyCancelled, AlreadyDelivered, AlreadyPlaced, AlreadyShipped, NotPlaced, NotShipped},
    *,
};

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    text.to_owned().try_into().unwrap()
}

fn place() -> OrderCommand {
    let item = |sku, quantity: u64, unit_price: u64| OrderItem {
        sku: text(sku),
        quantity: quantity.try_into().unwrap(),
        unit_price: unit_price.try_into().unwrap(),
    };
    OrderCommand::Place(PlaceOrder {
        customer_id: "alice".to_owned().try_into().unwrap(),
        currency: Currency::EUR,
        items: vec![item("BOOK-1", 2, 1250), item("PEN-7", 1, 300)].try_into().unwrap(),
        shipping_address: text("1 Main Street, Springfield"),
    })
}

fn ship() -> OrderCommand {
    OrderCommand::Ship(ShipOrder { carrier: text("DHL"), tracking_number: text("JD0123456789") })
}

fn cancel() -> OrderCommand {
    OrderCommand::Cancel(CancelOrder { reason: text("changed my mind") })
}

fn placed() -> OrderEvent {
    let OrderCommand::Place(PlaceOrder { customer_id, currency, items, shipping_address }) = place() else {
        unreachable!()
    };
    OrderEvent::Placed(OrderPlaced { customer_id, currency, items, total: 2800, shipping_address })
}

fn shipped() -> OrderEvent {
    OrderEvent::Shipped(OrderShipped { carrier: text("DHL"), tracking_number: text("JD0123456789") })
}

fn delivered() -> OrderEvent {
    OrderEvent::Delivered {}
}

fn cancelled() -> OrderEvent {
    OrderEvent::Cancelled(OrderCancelled { reason: text("changed my mind") })
}

#[test]
fn a_placed_order_records_the_total_of_its_items() {
    given::<Order>([]).when(place()).then([placed()]);
}

#[test]
fn an_order_can_be_placed_only_once() {
    given::<Order>([placed()]).when(place()).then_rejected(AlreadyPlaced);
    given::<Order>([placed(), cancelled()]).when(place()).then_rejected(AlreadyPlaced);
}

#[test]
fn a_placed_order_can_be_shipped_then_delivered() {
    given::<Order>([placed()]).when(ship()).then([shipped()]);
    given::<Order>([placed(), shipped()]).when(OrderCommand::Deliver).then([delivered()]);
}

#[test]
fn only_an_order_that_is_placed_and_not_shipped_can_be_cancelled() {
    given::<Order>([placed()]).when(cancel()).then([cancelled()]);
    given::<Order>([placed(), shipped()]).when(cancel()).then_rejected(AlreadyShipped);
    given::<Order>([placed(), shipped(), delivered()]).when(cancel()).then_rejected(AlreadyDelivered);
    given::<Order>([placed(), cancelled()]).when(cancel()).then_rejected(AlreadyCancelled);
}

#[test]
fn an_order_can_be_shipped_only_once_and_not_after_its_cancellation() {
    given::<Order>([placed(), shipped()]).when(ship()).then_rejected(AlreadyShipped);
    given::<Order>([placed(), shipped(), delivered()]).when(ship()).then_rejected(AlreadyDelivered);
    given::<Order>([placed(), cancelled()]).when(ship()).then_rejected(AlreadyCancelled);
}

#[test]
fn only_a_shipped_order_can_be_delivered() {
    given::<Order>([placed()]).when(OrderCommand::Deliver).then_rejected(NotShipped);
    given::<Order>([placed(), cancelled()]).when(OrderCommand::Deliver).then_rejected(NotShipped);
    given::<Order>([placed(), shipped(), delivered()]).when(OrderCommand::Deliver).then_rejected(AlreadyDelivered);
}

#[test]
fn an_order_that_was_not_placed_cannot_be_shipped_delivered_or_cancelled() {
    for command in [ship(), OrderCommand::Deliver, cancel()] {
        given::<Order>([]).when(command).then_rejected(NotPlaced);
    }
}

/// Reads the golden files: one for each schema version of each event, named `<type>.v<schema>.json` and never changed.
#[test]
fn every_event_has_its_golden_files() {
    assert_golden(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"), [placed(), shipped(), delivered(), cancelled()]);
}

#[test]
fn a_status_has_one_spelling() {
    for status in Status::VARIANTS {
        assert_eq!(serde_json::to_value(status).unwrap(), <&str>::from(status));
    }
}

#[test]
fn canonical_requests_never_change() {
    let canonical = |command| serde_json::to_string(&command).unwrap();
    assert_eq!(
        canonical(place()),
        concat!(
            r#"{"place":{"customer_id":"alice","currency":"EUR","items":["#,
            r#"{"sku":"BOOK-1","quantity":2,"unit_price":1250},{"sku":"PEN-7","quantity":1,"unit_price":300}],"#,
            r#""shipping_address":"1 Main Street, Springfield"}}"#
        )
    );
    assert_eq!(canonical(ship()), r#"{"ship":{"carrier":"DHL","tracking_number":"JD0123456789"}}"#);
    assert_eq!(canonical(OrderCommand::Deliver), r#""deliver""#);
    assert_eq!(canonical(cancel()), r#"{"cancel":{"reason":"changed my mind"}}"#);
}
