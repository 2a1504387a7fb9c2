//! The changes that a write of a view makes to the tables beside the view, and the steps that they consist of.

use std::collections::{BTreeMap, BTreeSet};

use cqrs::{Counters, Projection, RowKey, Version};

use crate::{
    Bookkeeping, InGeneration, StoreError,
    dynamo::MAX_ACTIONS,
    fold::{Folded, TalliedCommit},
    item::{self, Item},
    rows,
};

/// The limit of bytes per transaction. DynamoDB allows 4 MB; the rest is a reserve for the counters.
pub(super) const MAX_BYTES: usize = 3_500_000;

/// An atomic change of one table beside a view, with its entry in the bookkeeping.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// A tally counts one commit.
    Tally { tally: &'static str, version: Version, table: InGeneration, counts: Counters },
    /// The contribution to one row of counters changes by `delta`.
    Contribution { table: InGeneration, delta: Counters },
    /// A row is written or deleted.
    Row { key: RowKey, write: RowWrite, digest: Option<String> },
}

/// A write of one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowWrite {
    /// The declared name of the table.
    pub(super) table: String,
    pub(super) key: Item,
    /// The new item, or `None` to delete it.
    pub(super) put: Option<Item>,
}

/// Changes of the tables beside views.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    /// The amounts to add, by table of counters and generation. No table is without a change.
    pub(super) counters: BTreeMap<InGeneration, Counters>,
    pub(super) rows: Vec<RowWrite>,
}

/// Returns the steps from the bookkeeping `before` to `after`, which follows from `folded`.
///
/// # Errors
/// [`StoreError::Bug`] if a row cannot be encoded.
pub(super) fn steps<P: Projection>(
    stream_key: &str,
    before: &Bookkeeping,
    after: &Bookkeeping,
    folded: &Folded<P::View>,
) -> Result<Vec<Step>, StoreError> {
    let tallied = folded.tallied.iter().cloned().map(|TalliedCommit { tally, table, generation, version, counts }| {
        Step::Tally { tally, version, table: InGeneration::new(table, generation), counts }
    });
    let mut steps: Vec<Step> = tallied.collect();
    // A generation that is not maintained any more has no entry in `after`, and its counters stay.
    for (table, contribution) in &after.contribution {
        let delta = contribution.clone() - &before.contribution.get(table).cloned().unwrap_or_default();
        steps.extend(delta.split_rows().map(|delta| Step::Contribution { table: table.clone(), delta }));
    }
    let none = BTreeMap::new();
    for table in union(before.rows.keys(), after.rows.keys()) {
        let [before, after] = [before, after].map(|bookkeeping| bookkeeping.rows.get(table).unwrap_or(&none));
        let changed = union(before.keys(), after.keys()).into_iter().filter(|key| before.get(key) != after.get(key));
        for key in changed {
            let row = folded.beside.rows.get(table).and_then(|rows| rows.get(key));
            let put = row.map(|row| rows::encode::<P>(key, row, stream_key)).transpose()?;
            let write = RowWrite { table: table.clone(), key: rows::item_key(key, stream_key), put };
            steps.push(Step::Row { key: key.clone(), write, digest: after.get(key).cloned() });
        }
    }
    Ok(steps)
}

/// Returns how many of the first steps fit into one transaction, beside an item of `bytes` bytes. At least one fits.
pub(super) fn fitting(steps: &[Step], mut bytes: usize) -> usize {
    let (mut counter_rows, mut rows) = (BTreeSet::new(), 0);
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Tally { table, counts: amounts, .. } | Step::Contribution { table, delta: amounts } => {
                counter_rows.extend(amounts.rows().map(|(row, _)| (table, row)));
            }
            Step::Row { write, .. } => {
                rows += 1;
                bytes += write.bytes();
            }
        }
        if 1 + counter_rows.len() + rows > MAX_ACTIONS || bytes > MAX_BYTES {
            return index.max(1);
        }
    }
    steps.len()
}

impl Step {
    /// Records the step in the bookkeeping.
    pub(super) fn record(&self, bookkeeping: &mut Bookkeeping) {
        match self {
            Self::Tally { tally, version, table, .. } => {
                bookkeeping.counted.insert(InGeneration::new(*tally, table.generation), *version);
            }
            Self::Contribution { table, delta } => {
                *bookkeeping.contribution.entry(table.clone()).or_default() += delta;
            }
            Self::Row { key, write, digest } => {
                let digests = bookkeeping.rows.entry(write.table.clone()).or_default();
                match digest {
                    Some(digest) => drop(digests.insert(key.clone(), digest.clone())),
                    None => drop(digests.remove(key)),
                }
            }
        }
    }
}

impl Changes {
    /// Adds up the changes of the steps.
    pub(super) fn of(steps: Vec<Step>) -> Self {
        let mut changes = Self::default();
        for step in steps {
            match step {
                Step::Tally { table, counts: amounts, .. } | Step::Contribution { table, delta: amounts } => {
                    *changes.counters.entry(table).or_default() += &amounts;
                }
                Step::Row { write, .. } => changes.rows.push(write),
            }
        }
        changes.counters.retain(|_, delta| !delta.is_zero());
        changes
    }

    /// Adds other changes to these.
    pub(super) fn add(&mut self, other: &Self) {
        for (table, delta) in &other.counters {
            *self.counters.entry(table.clone()).or_default() += delta;
        }
        self.counters.retain(|_, delta| !delta.is_zero());
        self.rows.extend(other.rows.iter().cloned());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counters.is_empty() && self.rows.is_empty()
    }

    /// Iterates over the rows of counters that change, as table and row.
    pub(super) fn counter_rows(&self) -> impl Iterator<Item = (&InGeneration, &str)> {
        self.counters.iter().flat_map(|(table, delta)| delta.rows().map(move |(row, _)| (table, row)))
    }

    /// Returns the size of the rows in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.rows.iter().map(RowWrite::bytes).sum()
    }
}

impl RowWrite {
    fn bytes(&self) -> usize {
        item::size(self.put.as_ref().unwrap_or(&self.key))
    }
}

fn union<'a, K: Ord>(some: impl Iterator<Item = &'a K>, others: impl Iterator<Item = &'a K>) -> BTreeSet<&'a K> {
    some.chain(others).collect()
}

#[cfg(test)]
mod tests;
