//! Rebuilds views and sums in place: catches up all streams. Views of an older shape are folded anew, others only as far
//! as they are behind.

use app::App;
use cqrs::StreamId;
use cqrs_dynamodb::{Doorbell, Failure, Report, Which};
use serde::Serialize;

use crate::{
    projector,
    segments::{Progress, walk},
};

/// What a rebuild came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rebuilt {
    /// Streams that were gone through.
    pub streams: usize,
    /// Views that were written.
    pub written: usize,
    /// Views that were as they must be.
    pub unchanged: usize,
    /// Views whose stream is parked, since now or since before.
    pub parked: usize,
    /// Streams that could not be caught up; the rebuild is to be done again for them.
    pub failed: Vec<String>,
}

impl Rebuilt {
    /// Adds what became of so many streams.
    pub fn add(&mut self, streams: usize, report: &Report) {
        self.streams += streams;
        self.written += report.projected;
        self.unchanged += report.duplicates;
        self.parked += report.waiting + report.parked.len();
        self.failed.extend(report.failed.keys().map(StreamId::to_string));
    }
}

/// Rebuilds from `progress` on, and tells `each` what it has come to so far.
///
/// # Errors
/// [`Failure`] of a read of the events table.
pub async fn rebuild(
    app: &App,
    progress: Progress,
    mut each: impl FnMut(&Rebuilt, &Progress),
) -> Result<Rebuilt, Failure> {
    let mut rebuilt = Rebuilt::default();
    let catch_up = async |streams: Vec<StreamId>| {
        let bells: Vec<Doorbell> = streams.into_iter().map(Doorbell::new).collect();
        Ok((bells.len(), projector(app).catch_up(&bells).await))
    };
    walk(app, Which::All, progress, catch_up, |(streams, report), progress| {
        rebuilt.add(streams, &report);
        each(&rebuilt, progress);
    })
    .await?;
    Ok(rebuilt)
}
