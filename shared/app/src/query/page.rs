//! The rows of one page.

use cqrs::Version;
use cqrs_dynamodb::{IndexPosition, IndexRow};

/// The rows of a list between two positions of the index, newest first.
#[derive(Debug)]
pub(super) struct ListPage<R> {
    rows: Vec<IndexRow<R>>,
    /// The position before the page: all rows are older. `None` at the start of the list.
    after: Option<IndexPosition>,
    /// The last position that was read. `None` if the list ends there.
    until: Option<IndexPosition>,
}

impl<R> ListPage<R> {
    /// Starts an empty page after `position`, or at the start of the list.
    pub(super) fn after(position: Option<IndexPosition>) -> Self {
        Self { rows: Vec::new(), after: position, until: None }
    }

    /// Adds the next rows, which were read up to `until`, or to the end of the list.
    pub(super) fn add(&mut self, rows: impl Iterator<Item = IndexRow<R>>, until: Option<IndexPosition>) {
        self.rows.extend(rows);
        self.until = until;
    }

    pub(super) fn exceeds(&self, limit: usize) -> bool {
        self.rows.len() > limit
    }

    /// Returns whether the page has the row of `key` at `version` or later.
    pub(super) fn shows(&self, key: &str, version: Version) -> bool {
        self.rows.iter().any(|row| row.key == key && row.version >= version)
    }

    /// Replaces the row of a view with a newer one.
    ///
    /// If the page has no older row, the new one is inserted, unless its position is outside the page. If the new row
    /// does not match the filter, the older one is only removed.
    pub(super) fn replace(&mut self, row: IndexRow<R>, matches_filter: bool) {
        self.rows.retain(|other| other.key != row.key);
        let is_within_page = self.after.as_ref().is_none_or(|after| row.position < *after)
            && self.until.as_ref().is_none_or(|until| row.position >= *until);
        if matches_filter && is_within_page {
            let index = self.rows.partition_point(|other| other.position > row.position);
            self.rows.insert(index, row);
        }
    }

    /// Returns the first `limit` rows, and the position after which the next page starts, if there is one.
    pub(super) fn cut(mut self, limit: usize) -> (Vec<IndexRow<R>>, Option<IndexPosition>) {
        if !self.exceeds(limit) {
            return (self.rows, self.until);
        }
        self.rows.truncate(limit);
        let last = self.rows.last().map(|row| row.position.clone());
        (self.rows, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a row at 10:`minute`, with the minute as its key.
    fn row(minute: u32, version: u64) -> IndexRow<()> {
        let (key, position) = (minute.to_string(), position(minute));
        IndexRow { row: (), key, position, version: Version::new(version), behind: false }
    }

    fn position(minute: u32) -> IndexPosition {
        vec![format!("2026-11-22T10:{minute:02}:00Z"), minute.to_string()]
    }

    /// Returns the page of the rows at these minutes, between two positions.
    fn page(after: Option<u32>, minutes: &[u32], until: Option<u32>) -> ListPage<()> {
        let mut page = ListPage::after(after.map(position));
        page.add(minutes.iter().map(|minute| row(*minute, 1)), until.map(position));
        page
    }

    fn cut(page: ListPage<()>, limit: usize) -> (Vec<(String, u64)>, Option<IndexPosition>) {
        let (rows, more_after) = page.cut(limit);
        (rows.into_iter().map(|row| (row.key, row.version.get())).collect(), more_after)
    }

    fn rows(rows: &[(u32, u64)]) -> Vec<(String, u64)> {
        rows.iter().map(|(minute, version)| (minute.to_string(), *version)).collect()
    }

    #[test]
    fn a_page_is_cut_to_its_limit_and_the_next_one_starts_after_its_last_row() {
        assert_eq!(cut(page(None, &[9, 8, 7], None), 2), (rows(&[(9, 1), (8, 1)]), Some(position(8))));
        assert_eq!(cut(page(None, &[9, 8], None), 2), (rows(&[(9, 1), (8, 1)]), None));
        assert_eq!(cut(page(None, &[], Some(5)), 2), (rows(&[]), Some(position(5))));
    }

    #[test]
    fn a_newer_row_replaces_the_older_one() {
        let mut page = page(None, &[9, 8, 7], None);
        assert!(page.shows("8", Version::new(1)) && !page.shows("8", Version::new(2)));
        page.replace(row(8, 2), true);
        assert_eq!(cut(page, 9).0, rows(&[(9, 1), (8, 2), (7, 1)]));
    }

    #[test]
    fn a_row_that_no_longer_matches_the_filter_is_removed() {
        let mut page = page(None, &[9, 8, 7], None);
        page.replace(row(8, 2), false);
        assert_eq!(cut(page, 9).0, rows(&[(9, 1), (7, 1)]));
    }

    #[test]
    fn a_new_row_is_inserted_only_within_the_page() {
        for (minute, is_inserted) in [(10, false), (9, false), (8, true), (5, true), (4, false)] {
            let mut page = page(Some(9), &[7, 6], Some(5));
            page.replace(row(minute, 1), true);
            assert_eq!(page.shows(&minute.to_string(), Version::new(1)), is_inserted, "{minute}");
        }
        let mut first_and_last = page(None, &[7], None);
        first_and_last.replace(row(10, 1), true);
        first_and_last.replace(row(1, 1), true);
        assert_eq!(cut(first_and_last, 9).0, rows(&[(10, 1), (7, 1), (1, 1)]));
    }
}
