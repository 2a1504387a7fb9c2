//! Goes through all streams, some segments at once, a page at a time; and on from where it was left.
//!
//! An invocation has a deadline. What is not begun in time is left for the next one.

use std::collections::BTreeMap;

use app::App;
use cqrs::StreamId;
use cqrs_dynamodb::{ScanCursor, Segment, StoreError, StreamFilter};
use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How much of an invocation's time must be left for a page to be begun: a page is a thousand streams at most.
const FOR_A_PAGE: SignedDuration = SignedDuration::from_secs(120);

/// How far each segment has come: what a walk that was cut short goes on from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Of how many segments.
    pub of: u16,
    /// By the segment's number; none for those that are done.
    pub at: BTreeMap<u16, Option<ScanCursor>>,
}

impl Checkpoint {
    /// At the start of all of so many segments.
    pub fn start(of: u16) -> Self {
        Self { of, at: (0..of).map(|number| (number, None)).collect() }
    }

    /// At the start of one segment.
    pub fn start_of(segment: Segment) -> Self {
        Self { of: segment.of, at: BTreeMap::from([(segment.number, None)]) }
    }
}

/// Does `work` with each page of streams, in all segments that are not done, and tells `each` what came of it and how
/// far it is. Ends early if the time of the invocation does.
///
/// # Errors
/// The first [`StoreError`] of a read or of the work. What was told is done; the rest can be gone on with.
pub async fn walk<T, F: Future<Output = Result<T, StoreError>>>(
    app: &App,
    which: StreamFilter,
    mut checkpoint: Checkpoint,
    work: impl Fn(Vec<StreamId>) -> F,
    mut each: impl FnMut(T, &Checkpoint),
) -> Result<(), StoreError> {
    let (events, work) = (app.events(), &work);
    let page = |number: u16, after: Option<ScanCursor>| {
        let (events, segment) = (events.clone(), Segment { number, of: checkpoint.of });
        async move {
            let page = events.streams(which, segment, after.as_ref()).await?;
            Ok::<_, StoreError>((number, work(page.streams).await?, page.next))
        }
    };
    let mut under_way: FuturesUnordered<_> =
        checkpoint.at.clone().into_iter().map(|(number, after)| page(number, after)).collect();
    while let Some(done) = under_way.next().await {
        let (number, outcome, after) = done?;
        match &after {
            Some(_) => drop(checkpoint.at.insert(number, after.clone())),
            None => drop(checkpoint.at.remove(&number)),
        }
        each(outcome, &checkpoint);
        let in_time = app.dynamo.time_left().is_none_or(|left| left > FOR_A_PAGE);
        if after.is_some() && in_time {
            under_way.push(page(number, after));
        }
    }
    Ok(())
}
