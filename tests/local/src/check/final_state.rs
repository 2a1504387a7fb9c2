//! What is there when the load has ended: the history of each order, and the read models when they have caught up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::SignedDuration;
use serde_json::Value;

use super::{
    Load, RunHistory,
    history::{FinalViews, OrderState, RecordedEvent},
};

/// How many orders are read at once.
const AT_ONCE: usize = 16;

/// Reads all orders of the load into `history`, and waits for the read models to show them as they are, until
/// `patience` ends; with none, they are not looked at. Gives how long that took; `None` if they did not come to it.
///
/// # Errors
/// If the system does not answer any more.
pub async fn read_final_state(
    load: &Load,
    history: &mut RunHistory,
    patience: SignedDuration,
) -> Result<Option<SignedDuration>, String> {
    let began = load.environment.now();
    let acknowledged = history.commands.iter().filter_map(|command| command.accepted());
    let mut behind: BTreeSet<String> = acknowledged.map(|(order, _)| order.to_owned()).collect();
    loop {
        let rows = rows(load).await?;
        // An order whose placing was never answered is known by its row alone.
        behind.extend(rows.keys().filter(|order| !history.orders.contains_key(*order)).cloned());
        let orders = stream::iter(&behind).map(|order| order_at_rest(load, order, rows.get(order).cloned()));
        let orders: Vec<_> = orders.buffer_unordered(AT_ONCE).try_collect().await?;
        for (order, events, views) in orders {
            let head = events.last().cloned().map(OrderState::from);
            if views.summary == head && views.row == head {
                behind.remove(&order);
            }
            history.orders.insert(order.clone(), events);
            history.views.insert(order, views);
        }
        let waited = load.environment.now().duration_since(began);
        if patience.is_zero() {
            history.views.clear();
            return Ok(None);
        }
        if behind.is_empty() || waited >= patience {
            return Ok(behind.is_empty().then_some(waited));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The rows of all customers.
async fn rows(load: &Load) -> Result<BTreeMap<String, OrderState>, String> {
    let mut rows = BTreeMap::new();
    for client in 0..load.clients {
        let path = format!("/customers/{}/orders?limit=100", load.customer(client));
        let mut next = Some(path.clone());
        while let Some(page) = next {
            let page = load.api.read_until_answered(&page).await?.unwrap_or_default();
            let listed = page["orders"].as_array().into_iter().flatten();
            rows.extend(listed.filter_map(|row| Some((row["order_id"].as_str()?.to_owned(), order_state(row)?))));
            next = page["next_cursor"].as_str().map(|cursor| format!("{path}&cursor={cursor}"));
        }
    }
    Ok(rows)
}

async fn order_at_rest(
    load: &Load,
    order: &str,
    row: Option<OrderState>,
) -> Result<(String, Vec<RecordedEvent>, FinalViews), String> {
    let history = load.api.read_until_answered(&format!("/orders/{order}/events")).await?.unwrap_or_default();
    let summary = load.api.read_until_answered(&format!("/orders/{order}")).await?.as_ref().and_then(order_state);
    Ok((order.to_owned(), events(order, &history), FinalViews { summary, row }))
}

/// The events in an answer of `GET /orders/{order_id}/events`.
pub(super) fn events(order: &str, history: &Value) -> Vec<RecordedEvent> {
    let event = |event: &Value| {
        let text = |field: &str| event["data"][field].as_str().unwrap_or_default().to_owned();
        let status = event["type"].as_str().unwrap_or_default().trim_start_matches("order.").to_owned();
        let mark = match status.as_str() {
            "placed" => text("shipping_address"),
            "shipped" => text("tracking_number"),
            "cancelled" => text("reason"),
            // What has no words of its own comes once in an order's life.
            _ => format!("deliver {order}"),
        };
        RecordedEvent { version: event["version"].as_u64().unwrap_or_default(), status, mark }
    };
    history["events"].as_array().into_iter().flatten().map(event).collect()
}

/// What a summary or a row shows.
pub(super) fn order_state(document: &Value) -> Option<OrderState> {
    Some(OrderState { version: document["version"].as_u64()?, status: document["status"].as_str()?.to_owned() })
}

impl From<RecordedEvent> for OrderState {
    fn from(event: RecordedEvent) -> Self {
        Self { version: event.version, status: event.status }
    }
}
