//! Tallies: counters over the events of one projection's streams.

use crate::{Counters, Projection, Recorded};

/// Defines what an event adds to the counters of a table, such as "loans per day".
///
/// Every event is counted exactly once: the view's item stores the version through which its stream is counted, and
/// changes together with the counters. Neither the view nor its item grows with the number of events. An event stays
/// counted if its view is deleted. Events of a parked stream are counted up to the parked commit.
///
/// A new tally counts each stream from its first commit, when the stream is next caught up; a rebuild catches up all
/// streams. An event is never counted again. So a change of [`count`](Self::count) needs a new `NAME` and, to start from
/// zero, a new `TABLE`.
///
/// Costs, for each row that a write changes, one action of its transaction and two write units. One commit may change at
/// most 99 rows; a commit that counts in more rows parks its stream.
pub trait Tally: 'static {
    /// The projection whose events are counted.
    type Projection: Projection;

    /// The name of this tally, unique among all names that a system declares. The views' items contain it.
    const NAME: &'static str;
    /// The name of the table of counters. Tallies and rollups may share a table, also over several projections.
    const TABLE: &'static str = Self::NAME;

    /// Returns the amounts that the event adds to the counters, by row and column.
    fn count(recorded: Recorded<'_, <Self::Projection as Projection>::Event>) -> Counters;
}

/// A tally without its type.
pub struct DeclaredTally<E> {
    pub name: &'static str,
    pub table: &'static str,
    pub count: fn(Recorded<'_, E>) -> Counters,
}
