//! Orders under the load of `cargo local check`: places, ships, delivers and cancels them.

use check::{
    Workload,
    history::{RecordedEvent, StreamState},
    workload::PlannedCommand,
};
use serde_json::{Value, json};

/// The order API as the checker uses it. A stream is an order, and its owner is the customer.
#[derive(Clone, Copy, Debug)]
pub struct OrderWorkload;

impl Workload for OrderWorkload {
    fn plan(&self, owner: &str, order: Option<&str>, mark: &str, roll: &dyn Fn(&str, u64) -> u64) -> PlannedCommand {
        let Some(order) = order else {
            let items = json!([{ "sku": "CHECK", "quantity": 1 + roll("quantity", 9), "unit_price": 100 }]);
            let body = json!({ "customer_id": owner, "currency": "EUR", "items": items, "shipping_address": mark });
            return PlannedCommand { path: "/orders".to_owned(), body, mark: mark.to_owned() };
        };
        let (command, body, mark) = match roll("command", 100) {
            0..45 => ("ship", json!({ "carrier": "check", "tracking_number": mark }), mark.to_owned()),
            45..75 => ("deliver", json!({}), delivery_mark(order)),
            _ => ("cancel", json!({ "reason": mark }), mark.to_owned()),
        };
        PlannedCommand { path: format!("/orders/{order}/{command}"), body, mark }
    }

    fn view_path(&self, order: &str) -> String {
        format!("/orders/{order}")
    }

    fn events_path(&self, order: &str) -> String {
        format!("/orders/{order}/events")
    }

    fn list_path(&self, customer: &str) -> String {
        format!("/customers/{customer}/orders")
    }

    fn stream(&self, document: &Value) -> Option<String> {
        Some(document.get("order_id")?.as_str()?.to_owned())
    }

    fn state(&self, document: &Value) -> Option<StreamState> {
        let status = document.get("status")?.as_str()?.to_owned();
        Some(StreamState { version: document.get("version")?.as_u64()?, status })
    }

    fn rows(&self, list: &Value) -> Vec<Value> {
        list.get("orders").and_then(Value::as_array).cloned().unwrap_or_default()
    }

    fn events(&self, order: &str, document: &Value) -> Vec<RecordedEvent> {
        let events = document.get("events").and_then(Value::as_array).into_iter().flatten();
        events.map(|event| recorded_event(order, event)).collect()
    }
}

fn recorded_event(order: &str, event: &Value) -> RecordedEvent {
    let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let status = text("/type").trim_start_matches("order.").to_owned();
    let mark = match status.as_str() {
        "placed" => text("/data/shipping_address"),
        "shipped" => text("/data/tracking_number"),
        "cancelled" => text("/data/reason"),
        _ => delivery_mark(order),
    };
    let version = event.pointer("/version").and_then(Value::as_u64).unwrap_or_default();
    RecordedEvent { version, status, mark }
}

/// A delivery contains no text, but an order has at most one.
fn delivery_mark(order: &str) -> String {
    format!("deliver {order}")
}
