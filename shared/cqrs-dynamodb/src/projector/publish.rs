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
    /// The same event may be sent later: the bus is unavailable, does not exist, or denies access.
    #[error("the bus did not take a public event")]
    Failed(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The event can never be sent, for example because it is too large. Holds the reason, without the event's data.
    #[error("a public event cannot be sent: {0}")]
    Refused(String),
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
            match results.into_iter().find_map(|(record, result)| Some((record.version, result.err()?))) {
                None => published.push(view),
                Some((_, SendError::Failed(error))) => {
                    report.fail(&view.work.request.stream, Arc::new(StoreError::NotPublished(error.into())));
                }
                Some((version, SendError::Refused(reason))) => {
                    let stream = view.work.request.stream.clone();
                    refused.push((view.work, StoreError::Corrupt { stream, version, reason }));
                }
            }
        }
        (published, refused)
    }
}
