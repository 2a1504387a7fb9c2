//! Rollups: counters over the views of one projection.

use crate::{Counters, Projection};

/// Defines the contribution of a view to the counters of a table.
///
/// A write of a view changes the counters by the new contribution minus the stored one. The counters therefore stay
/// correct if a view is written twice, late, or by changed code. After a change of [`contribution`](Self::contribution),
/// raise [`Projection::SCHEMA`].
///
/// Costs, for each row that a write changes, one action of its transaction and two write units. The view's item stores
/// the contribution. Several rollups may use one table; their contributions are added.
pub trait Rollup: 'static {
    /// The projection whose views are counted.
    type Projection: Projection;

    /// The name of this rollup, unique among all names that a system declares.
    const NAME: &'static str;
    /// The name of the table of counters. Rollups and tallies may share a table, also over several projections.
    const TABLE: &'static str = Self::NAME;

    /// Returns the amounts that `view` adds to the counters, by row and column.
    fn contribution(view: &<Self::Projection as Projection>::View) -> Counters;
}

/// A rollup without its type.
pub struct DeclaredRollup<V> {
    pub name: &'static str,
    pub table: &'static str,
    pub contribution: fn(&V) -> Counters,
}
