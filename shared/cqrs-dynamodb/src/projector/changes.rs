//! The changes that a write of a view makes to the tables beside the view.

use std::collections::BTreeMap;

use cqrs::Counters;

use crate::Bookkeeping;

/// Changes of the tables beside a view.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    /// The amounts to add, by table of counters. No table is without a change.
    pub(super) counters: BTreeMap<String, Counters>,
}

impl Changes {
    /// Returns the changes that lead from the bookkeeping `before` to `after`.
    pub(super) fn between(before: &Bookkeeping, after: &Bookkeeping) -> Self {
        let mut counters = after.contribution.clone();
        for (table, before) in &before.contribution {
            let after = counters.entry(table.clone()).or_default();
            *after = std::mem::take(after) - before;
        }
        counters.retain(|_, delta| !delta.is_zero());
        Self { counters }
    }

    /// Adds other changes to these.
    pub(super) fn add(&mut self, other: &Self) {
        for (table, delta) in &other.counters {
            *self.counters.entry(table.clone()).or_default() += delta;
        }
        self.counters.retain(|_, delta| !delta.is_zero());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// Iterates over the rows of counters that change, as table and row.
    pub(super) fn counter_rows(&self) -> impl Iterator<Item = (&str, &str)> {
        self.counters.iter().flat_map(|(table, delta)| delta.rows().map(|(row, _)| (table.as_str(), row)))
    }
}
