//! The distribution of writes over transactions.

use std::collections::BTreeSet;

use super::changes::{Changes, MAX_BYTES};
use crate::{InGeneration, dynamo::MAX_ACTIONS};

/// Packs writes into chunks that fit into one transaction each: one action per view, one per row beside a view, and one
/// per row of counters, which views share.
///
/// `bytes_and_changes` returns the size of the items of a write, and the changes beside the view.
pub(super) fn pack<W>(writes: Vec<W>, bytes_and_changes: impl Fn(&W) -> (usize, &Changes)) -> Vec<Vec<W>> {
    let mut chunks = Vec::new();
    let mut chunk: Vec<W> = Vec::new();
    let (mut chunk_bytes, mut chunk_actions, mut chunk_rows) = (0, 0, BTreeSet::new());
    for write in writes {
        let (bytes, changes) = bytes_and_changes(&write);
        let rows: BTreeSet<(InGeneration, String)> =
            changes.counter_rows().map(|(table, row)| (table.clone(), row.to_owned())).collect();
        let actions = 1 + changes.rows.len();
        let all_rows: BTreeSet<_> = chunk_rows.union(&rows).cloned().collect();
        let fits = chunk_actions + actions + all_rows.len() <= MAX_ACTIONS && chunk_bytes + bytes <= MAX_BYTES;
        if fits || chunk.is_empty() {
            (chunk_bytes, chunk_actions, chunk_rows) = (chunk_bytes + bytes, chunk_actions + actions, all_rows);
        } else {
            chunks.push(std::mem::take(&mut chunk));
            (chunk_bytes, chunk_actions, chunk_rows) = (bytes, actions, rows);
        }
        chunk.push(write);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cqrs::Counters;

    use super::*;
    use crate::{Generation, item::Item, projector::changes::RowWrite};

    fn lengths(writes: impl Iterator<Item = (usize, Changes)>) -> Vec<usize> {
        let chunks = pack(writes.collect(), |(bytes, changes)| (*bytes, changes));
        chunks.iter().map(Vec::len).collect()
    }

    fn changes(row: usize) -> Changes {
        let delta = Counters::default().with("totals", "n", 1).with(&format!("day {row}"), "n", 1);
        Changes {
            counters: BTreeMap::from([(InGeneration::new("dashboard", Generation::FIRST), delta)]),
            rows: Vec::new(),
        }
    }

    #[test]
    fn views_and_the_rows_they_share_fill_100_actions() {
        assert_eq!(lengths((0..200).map(|_| (1, changes(0)))), [98, 98, 4]);
        assert_eq!(lengths((0..100).map(|i| (1, changes(i)))), [49, 49, 2]);
        assert_eq!(lengths((0..100).map(|_| (1, Changes::default()))), [100]);
    }

    #[test]
    fn each_row_beside_a_view_is_an_action() {
        let row = RowWrite { table: "rows".to_owned(), key: Item::new(), put: None };
        let changes = || Changes { rows: vec![row.clone(); 24], ..changes(0) };
        assert_eq!(lengths((0..8).map(|_| (1, changes()))), [3, 3, 2]);
    }

    #[test]
    fn a_chunk_is_below_the_limit_of_bytes_or_has_one_view() {
        assert_eq!(lengths((0..5).map(|_| (1_700_000, changes(0)))), [2, 2, 1]);
        assert_eq!(lengths((0..2).map(|_| (9_000_000, changes(0)))), [1, 1]);
    }

    #[test]
    fn no_writes_need_no_transaction() {
        assert!(lengths(std::iter::empty()).is_empty());
    }
}
