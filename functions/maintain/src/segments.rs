//! Walks all streams page by page, several segments at once, and resumes from a checkpoint.
//!
//! An invocation has a deadline. A page that cannot start in time is left to the next invocation.

use std::collections::BTreeMap;

use app::App;
use cqrs::Domain;
use cqrs_dynamodb::{ScanCursor, Segment, StoreError, StreamFilter, StreamsPage};
use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::SignedDuration;
use messaging::publisher::projector_of_all;
use serde::{Deserialize, Serialize};

/// The minimum remaining time of an invocation to start a page of up to a thousand streams.
const TIME_FOR_A_PAGE: SignedDuration = SignedDuration::from_secs(120);

/// The progress of a walk in each segment. A walk that stopped early resumes from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The number of segments.
    pub of: u16,
    /// The cursor in each unfinished segment, by the segment's number from 0. `None` is the start of the segment.
    pub at: BTreeMap<u16, Option<ScanCursor>>,
}

impl Checkpoint {
    /// Returns the checkpoint at the start of all segments.
    pub fn start(segments: u16) -> Self {
        Self { of: segments, at: (0..segments).map(|number| (number, None)).collect() }
    }

    /// Returns the checkpoint at the start of a single segment. The other segments count as finished.
    pub fn start_of(segment: Segment) -> Self {
        Self { of: segment.of, at: BTreeMap::from([(segment.number, None)]) }
    }
}

/// Calls `work` on each page of streams of the domain that match `filter`, in all unfinished segments of `checkpoint`.
/// After each page, calls `on_page` with the result of `work` and the new checkpoint. Stops early if the time of the
/// invocation runs out.
///
/// # Errors
/// The first [`StoreError`] of a read or of `work`. The pages that `on_page` has seen are finished, and a new walk can
/// resume from the last checkpoint.
pub async fn walk<D: Domain, T, F: Future<Output = Result<T, StoreError>>>(
    app: &App,
    filter: StreamFilter,
    mut checkpoint: Checkpoint,
    work: impl Fn(StreamsPage) -> F,
    mut on_page: impl FnMut(T, &Checkpoint),
) -> Result<(), StoreError> {
    let (projector, work) = (&projector_of_all::<D>(app)?, &work);
    let page = |number: u16, after: Option<ScanCursor>| {
        let segment = Segment { number, of: checkpoint.of };
        async move {
            let page = projector.streams(filter, segment, after.as_ref()).await?;
            let next = page.next.clone();
            Ok::<_, StoreError>((number, work(page).await?, next))
        }
    };
    let mut pages: FuturesUnordered<_> =
        checkpoint.at.clone().into_iter().map(|(number, after)| page(number, after)).collect();
    while let Some(finished) = pages.next().await {
        let (number, result, after) = finished?;
        match &after {
            Some(_) => drop(checkpoint.at.insert(number, after.clone())),
            None => drop(checkpoint.at.remove(&number)),
        }
        on_page(result, &checkpoint);
        let time_for_a_page = app.dynamo.time_left().is_none_or(|time_left| time_left > TIME_FOR_A_PAGE);
        if after.is_some() && time_for_a_page {
            pages.push(page(number, after));
        }
    }
    Ok(())
}
