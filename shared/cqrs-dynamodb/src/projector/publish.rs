//! Publishing: sends the public events of folded commits before the position is written.
//!
//! A crash between both sends the events again, so every public event is published at least once.

use std::sync::Arc;

use cqrs::{Projection, PublicRecord};
use futures_util::future::BoxFuture;

use super::{handler::ProjectionHandler, plan::Work, report::CatchUpReport, write_chunk::PendingView};
use crate::StoreError;

/// Sends public events to other systems.
pub trait EventSink: Send + Sync {
    /// Sends the events in this order. Returns a result for each of them, in the same order.
    fn send<'a>(&'a self, records: &'a [PublicRecord]) -> BoxFuture<'a, Vec<Result<(), SendError>>>;
}

/// A public event that was not sent, or whose sending was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A later attempt may succeed: the bus is unavailable, does not exist, or denies access.
    #[error("the bus did not take a public event")]
    Failed(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The event can never be sent, for example because it is too large. Holds the reason, without the event's data.
    #[error("a public event cannot be sent: {0}")]
    Refused(String),
}

impl SendError {
    /// Converts the error of `record`. [`StoreError::NotPublished`] means that a later attempt may succeed.
    pub(super) fn of(self, record: &PublicRecord) -> StoreError {
        match self {
            Self::Failed(error) => StoreError::NotPublished(error.into()),
            Self::Refused(reason) => {
                StoreError::Corrupt { stream: record.stream.clone(), version: record.version, reason }
            }
        }
    }
}

/// Views whose public events are sent, and streams to park because an event can never be sent.
pub(super) type PublishedViews<'a, V> = (Vec<PendingView<'a, V>>, Vec<(Work<'a, V>, StoreError)>);

impl<P: Projection> ProjectionHandler<P> {
    /// Sends the public events of these views. Views with an event that was not sent are reported as failed, so that
    /// their position does not move.
    pub(super) async fn publish<'a>(
        &self,
        pending: Vec<PendingView<'a, P::View>>,
        report: &mut CatchUpReport,
    ) -> PublishedViews<'a, P::View> {
        let Some(sink) = &self.sink else { return (pending, Vec::new()) };
        let records: Vec<PublicRecord> = pending.iter().flat_map(|view| view.records.iter().cloned()).collect();
        let mut results = if records.is_empty() { Vec::new() } else { sink.send(&records).await }.into_iter();
        let (mut published, mut refused) = (Vec::with_capacity(pending.len()), Vec::new());
        for view in pending {
            let results: Vec<_> = view.records.iter().zip(results.by_ref()).collect();
            report.events_published += results.iter().filter(|(_, result)| result.is_ok()).count();
            match results.into_iter().find_map(|(record, result)| Some(result.err()?.of(record))) {
                None => published.push(view),
                Some(error) if error.is_transient() => report.fail(&view.work.request.stream, Arc::new(error)),
                Some(error) => refused.push((view.work, error)),
            }
        }
        (published, refused)
    }
}
