//! The final state after the load: the history of each order, and its views.

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

/// The number of orders that are read concurrently.
const CONCURRENCY: usize = 16;

/// Reads all orders of the load into `history`, and waits up to `patience` until the views have caught up.
///
/// Returns the time that the views took, or `None` if they did not catch up. If `patience` is zero, the views are not
/// checked.
///
/// # Errors
/// Fails if the system stops answering.
pub async fn read_final_state(
    load: &Load,
    history: &mut RunHistory,
    patience: SignedDuration,
) -> Result<Option<SignedDuration>, String> {
    let began = load.environment.now();
    let accepted = history.commands.iter().filter_map(|command| command.accepted());
    let mut behind: BTreeSet<String> = accepted.map(|(order, _)| order.to_owned()).collect();
    loop {
        let rows = rows(load).await?;
        // An order whose placement got no answer is known only by its row.
        behind.extend(rows.keys().filter(|order| !history.orders.contains_key(*order)).cloned());
        let orders = stream::iter(&behind).map(|order| read_order(load, order, rows.get(order).cloned()));
        let orders: Vec<_> = orders.buffer_unordered(CONCURRENCY).try_collect().await?;
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

/// Reads the lists of all customers of the load.
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

async fn read_order(
    load: &Load,
    order: &str,
    row: Option<OrderState>,
) -> Result<(String, Vec<RecordedEvent>, FinalViews), String> {
    let history = load.api.read_until_answered(&format!("/orders/{order}/events")).await?.unwrap_or_default();
    let summary = load.api.read_until_answered(&format!("/orders/{order}")).await?.as_ref().and_then(order_state);
    Ok((order.to_owned(), events(order, &history), FinalViews { summary, row }))
}

/// The events in a response of `GET /orders/{order_id}/events`.
pub(super) fn events(order: &str, history: &Value) -> Vec<RecordedEvent> {
    let event = |event: &Value| {
        let text = |field: &str| event["data"][field].as_str().unwrap_or_default().to_owned();
        let status = event["type"].as_str().unwrap_or_default().trim_start_matches("order.").to_owned();
        let mark = match status.as_str() {
            "placed" => text("shipping_address"),
            "shipped" => text("tracking_number"),
            "cancelled" => text("reason"),
            // A delivery contains no text, but an order has at most one.
            _ => format!("deliver {order}"),
        };
        RecordedEvent { version: event["version"].as_u64().unwrap_or_default(), status, mark }
    };
    history["events"].as_array().into_iter().flatten().map(event).collect()
}

/// The state in an order or in a row of a list.
pub(super) fn order_state(document: &Value) -> Option<OrderState> {
    Some(OrderState { version: document["version"].as_u64()?, status: document["status"].as_str()?.to_owned() })
}

impl From<RecordedEvent> for OrderState {
    fn from(event: RecordedEvent) -> Self {
        Self { version: event.version, status: event.status }
    }
}
