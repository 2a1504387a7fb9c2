//! The final state after the load: the history of each stream, and its views.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::SignedDuration;

use crate::{
    Load, RunHistory, Workload,
    history::{FinalViews, RecordedEvent, StreamState},
};

/// The number of streams that are read concurrently.
const CONCURRENCY: usize = 16;

/// Reads all streams of the load into `history`, and waits up to `patience` until the views have caught up.
///
/// Returns the time that the views took, or `None` if they did not catch up. If `patience` is zero, the views are not
/// checked.
///
/// # Errors
/// Fails if the system stops answering.
pub async fn read_final_state<W: Workload>(
    load: &Load<W>,
    history: &mut RunHistory,
    patience: SignedDuration,
) -> Result<Option<SignedDuration>, String> {
    let began = load.now();
    let accepted = history.commands.iter().filter_map(|command| command.accepted());
    let mut behind: BTreeSet<String> = accepted.map(|(stream, _)| stream.to_owned()).collect();
    loop {
        let rows = rows(load).await?;
        // A stream whose first command got no answer is known only by its row.
        behind.extend(rows.keys().filter(|stream| !history.streams.contains_key(*stream)).cloned());
        let streams = stream::iter(&behind).map(|stream| read_stream(load, stream, rows.get(stream).cloned()));
        let streams: Vec<_> = streams.buffer_unordered(CONCURRENCY).try_collect().await?;
        for (stream, events, views) in streams {
            let head = events.last().cloned().map(StreamState::from);
            if views.view == head && views.row == head {
                behind.remove(&stream);
            }
            history.streams.insert(stream.clone(), events);
            history.views.insert(stream, views);
        }
        let waited = load.now().duration_since(began);
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

/// Reads the lists of all owners of the load.
async fn rows<W: Workload>(load: &Load<W>) -> Result<BTreeMap<String, StreamState>, String> {
    let mut rows = BTreeMap::new();
    for client in 0..load.clients {
        let path = format!("{}?limit=100", load.workload.list_path(&load.owner(client)));
        let mut next = Some(path.clone());
        while let Some(page) = next {
            let page = load.api.read_until_answered(&page).await?.unwrap_or_default();
            let listed = load.workload.rows(&page).into_iter();
            rows.extend(listed.filter_map(|row| Some((load.workload.stream(&row)?, load.workload.state(&row)?))));
            let cursor = page.get("next_cursor").and_then(|cursor| cursor.as_str());
            next = cursor.map(|cursor| format!("{path}&cursor={cursor}"));
        }
    }
    Ok(rows)
}

async fn read_stream<W: Workload>(
    load: &Load<W>,
    stream: &str,
    row: Option<StreamState>,
) -> Result<(String, Vec<RecordedEvent>, FinalViews), String> {
    let Load { api, workload, .. } = load;
    let history = api.read_until_answered(&workload.events_path(stream)).await?.unwrap_or_default();
    let view = api.read_until_answered(&workload.view_path(stream)).await?;
    let view = view.and_then(|document| workload.state(&document));
    Ok((stream.to_owned(), workload.events(stream, &history), FinalViews { view, row }))
}
