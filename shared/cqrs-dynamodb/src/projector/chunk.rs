//! How many writes go into one transaction.

use std::collections::BTreeSet;

use cqrs::Counters;

/// The most actions of one transaction (Amazon DynamoDB API Reference, `TransactWriteItems`).
const MAX_ACTIONS: usize = 100;
/// The most bytes of one transaction: DynamoDB takes 4 MB, of which the counters need a little.
const MAX_BYTES: usize = 3_500_000;

/// What a write takes of a transaction.
pub(crate) trait Weighed {
    /// The size of its item.
    fn bytes(&self) -> usize;
    /// The counters that it changes.
    fn delta(&self) -> &Counters;
}

/// Packs writes into chunks that fit into one transaction each, an action a view and an action a row of counters.
pub(crate) fn pack<W: Weighed>(writes: Vec<W>) -> Vec<Vec<W>> {
    let mut chunks = Vec::new();
    let mut chunk: Vec<W> = Vec::new();
    let (mut bytes, mut rows) = (0, BTreeSet::new());
    for write in writes {
        let mut rows_with: BTreeSet<String> = rows.clone();
        rows_with.extend(write.delta().rows().map(|(row, _)| row.to_owned()));
        if !chunk.is_empty() && (chunk.len() + 1 + rows_with.len() > MAX_ACTIONS || bytes + write.bytes() > MAX_BYTES) {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
            rows_with = write.delta().rows().map(|(row, _)| row.to_owned()).collect();
        }
        bytes += write.bytes();
        rows = rows_with;
        chunk.push(write);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Write(usize, Counters);

    impl Weighed for Write {
        fn bytes(&self) -> usize {
            self.0
        }
        fn delta(&self) -> &Counters {
            &self.1
        }
    }

    fn lengths(writes: impl Iterator<Item = Write>) -> Vec<usize> {
        pack(writes.collect()).iter().map(Vec::len).collect()
    }

    fn delta(row: usize) -> Counters {
        Counters::default().with("totals", "n", 1).with(&format!("day {row}"), "n", 1)
    }

    #[test]
    fn views_and_the_rows_they_share_fill_100_actions() {
        assert_eq!(lengths((0..200).map(|_| Write(1, delta(0)))), [98, 98, 4]);
        assert_eq!(lengths((0..100).map(|i| Write(1, delta(i)))), [49, 49, 2]);
        assert_eq!(lengths((0..100).map(|_| Write(1, Counters::default()))), [100]);
    }

    #[test]
    fn large_views_go_alone() {
        assert_eq!(lengths((0..5).map(|_| Write(1_700_000, delta(0)))), [2, 2, 1]);
        assert_eq!(lengths((0..2).map(|_| Write(9_000_000, delta(0)))), [1, 1]);
    }
}
