//! The rules of the shipping deadline.

use cqrs::spec::{GivenSource, given_source};
use serde_json::json;

use super::{
    ShippingTimer::{Deadline, Remind},
    *,
};

const ORDER: &str = "88589b3d-6343-8e0f-8d74-91c92bb1b492";
const PLACED: &str = "2026-11-22T10:00:00Z";
const REMINDER: &str = "2026-11-23T22:00:00Z";
const DEADLINE: &str = "2026-11-24T10:00:00Z";

fn event(event_type: &str, data: serde_json::Value) -> OrderEvent {
    serde_json::from_value(json!({ "type": event_type, "data": data })).unwrap()
}

fn placed() -> OrderEvent {
    let items = json!([{ "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 }]);
    event(
        "order.placed",
        json!({ "customer_id": "alice", "currency": "EUR", "items": items, "total": 2500, "shipping_address": "Main St" }),
    )
}

fn shipped() -> OrderEvent {
    event("order.shipped", json!({ "carrier": "DHL", "tracking_number": "JD01" }))
}

fn cancelled() -> OrderEvent {
    event("order.cancelled", json!({ "reason": "changed my mind" }))
}

/// An order that must be shipped within 48 hours, with a reminder 12 hours before.
fn given(events: impl IntoIterator<Item = (&'static str, OrderEvent)>) -> GivenSource<ShippingDeadline> {
    given_source(ShippingDeadline::new(48, 12).unwrap(), ORDER, events)
}

fn cancel() -> OrderCommand {
    OrderCommand::Cancel(CancelOrder { reason: "not shipped in time".to_owned().try_into().unwrap() })
}

#[test]
fn a_placed_order_has_a_reminder_and_a_deadline() {
    given([]).when(PLACED, placed()).then([], [(Remind, REMINDER), (Deadline, DEADLINE)]);
}

#[test]
fn a_shipped_order_has_neither() {
    given([(PLACED, placed())]).when("2026-11-23T10:00:00Z", shipped()).then([], []);
    given([(PLACED, placed())]).fired(Remind).when("2026-11-24T09:00:00Z", shipped()).then([], []);
}

#[test]
fn a_cancelled_order_has_neither() {
    given([(PLACED, placed())]).when("2026-11-23T10:00:00Z", cancelled()).then([], []);
}

#[test]
fn a_delivered_order_causes_nothing() {
    given([(PLACED, placed()), ("2026-11-23T10:00:00Z", shipped())])
        .when("2026-11-25T10:00:00Z", event("order.delivered", json!({})))
        .then([], []);
}

#[test]
fn the_reminder_sends_no_command_and_leaves_the_deadline() {
    given([(PLACED, placed())]).when_due(Remind).then([], [(Deadline, DEADLINE)]);
}

#[test]
fn an_order_that_is_not_shipped_by_its_deadline_is_cancelled() {
    given([(PLACED, placed())]).fired(Remind).when_due(Deadline).then([(ORDER, cancel())], []);
}

#[test]
fn the_cancellation_by_the_process_itself_causes_nothing() {
    given([(PLACED, placed())]).fired(Remind).fired(Deadline).when(DEADLINE, cancelled()).then([], []);
}

#[test]
fn an_order_that_is_shipped_at_the_last_moment_is_not_cancelled() {
    use cqrs::spec;
    let placed_order = || [placed(), shipped()];
    spec::given::<Order>(placed_order()).when(cancel()).then_rejected(crate::OrderRejection::AlreadyShipped);
}

#[test]
fn the_names_of_the_timers_never_change() {
    assert_eq!([Remind, Deadline].map(<&str>::from), ["remind", "deadline"]);
    assert_eq!(["remind", "deadline"].map(|name| name.parse()), [Ok(Remind), Ok(Deadline)]);
}

#[test]
fn the_settings_are_hours_with_the_reminder_before_the_deadline() {
    let configure = |ship: &str, remind: &str| {
        ShippingDeadline::configure(|name| match name {
            SHIP_WITHIN => Some(ship.to_owned()),
            REMIND_BEFORE => Some(remind.to_owned()),
            _ => None,
        })
    };
    assert_eq!(configure("48", "12"), ShippingDeadline::new(48, 12));
    assert!(configure("8760", "8759").is_ok());
    for (ship, remind, name) in [
        ("0", "0", SHIP_WITHIN),
        ("-1", "1", SHIP_WITHIN),
        ("8761", "1", SHIP_WITHIN),
        ("two", "1", SHIP_WITHIN),
        ("1.5", "1", SHIP_WITHIN),
        ("48", "0", REMIND_BEFORE),
        ("48", "48", REMIND_BEFORE),
        ("48", "", REMIND_BEFORE),
    ] {
        assert_eq!(configure(ship, remind).unwrap_err().name, name, "{ship} {remind}");
    }
    assert_eq!(ShippingDeadline::configure(|_| None).unwrap_err().name, SHIP_WITHIN);
}
