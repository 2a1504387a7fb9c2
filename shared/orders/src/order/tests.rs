//! The rules of an order in given/when/then, and the stored form of its events and canonical requests.

use std::{collections::BTreeMap, fs, path::Path};

use cqrs::{EventRecord, spec::given};

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
        customer_id: text("alice"),
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
fn golden_events() -> BTreeMap<String, EventRecord> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden"))
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect()
}

#[test]
fn every_schema_version_of_every_event_decodes() {
    let events = BTreeMap::from([
        ("order.placed.v1.json", placed()),
        ("order.shipped.v1.json", shipped()),
        ("order.delivered.v1.json", delivered()),
        ("order.cancelled.v1.json", cancelled()),
    ]);
    let golden = golden_events();
    assert!(golden.keys().eq(events.keys()), "the golden files and the events of this test differ");
    for (name, record) in golden {
        assert_eq!(name, format!("{}.v{}.json", record.event_type, record.schema));
        assert_eq!(record.decode::<OrderEvent>().unwrap(), events[name.as_str()], "{name}");
    }
}

#[test]
fn every_event_encodes_to_its_newest_golden_file() {
    let golden = golden_events();
    for event in [placed(), shipped(), delivered(), cancelled()] {
        let record = EventRecord::encode(&event).unwrap();
        assert_eq!(golden[&format!("{}.v{}.json", record.event_type, record.schema)], record);
    }
    for (event_type, schema) in OrderEvent::SCHEMAS {
        assert!(golden.contains_key(&format!("{event_type}.v{schema}.json")), "{event_type} has no golden file");
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
