//! Which rows a page shows.

use cqrs::Version;
use cqrs_dynamodb::{IndexPosition, Versioned};
use orders::ListedOrder;

/// The rows of a list between two positions, newest first.
#[derive(Debug, Default)]
pub(crate) struct Page {
    rows: Vec<Versioned<ListedOrder>>,
    /// The position before the first row: all rows are older. `None` is the start of the list.
    after: Option<String>,
    /// The last position that was looked at, if the list goes on. `None` is its end.
    until: Option<String>,
}

impl Page {
    /// The page that begins after this row, or at the start of the list.
    pub(crate) fn after(position: Option<&IndexPosition>) -> Self {
        Self { after: position.map(|position| position.sort.clone()), ..Self::default() }
    }

    /// Adds the next rows, which go to the position where the list goes on, or to its end.
    pub(crate) fn add(&mut self, rows: impl Iterator<Item = Versioned<ListedOrder>>, until: Option<&IndexPosition>) {
        self.rows.extend(rows);
        self.until = until.map(|position| position.sort.clone());
    }

    /// Whether there are more rows than `limit`.
    pub(crate) fn exceeds(&self, limit: usize) -> bool {
        self.rows.len() > limit
    }

    /// Whether the order is shown as of `version` or later.
    pub(crate) fn shows(&self, order_id: &str, version: Version) -> bool {
        self.rows.iter().any(|row| row.view.order_id == order_id && row.version >= version)
    }

    /// Puts a newer row where its order stands: in the place of the older one, or among the others if the page comes
    /// by there. If it is not to be kept, the older one goes.
    pub(crate) fn replace(&mut self, row: Versioned<ListedOrder>, keep: bool) {
        self.rows.retain(|other| other.view.order_id != row.view.order_id);
        let position = row.view.position();
        let comes_by = self.after.as_ref().is_none_or(|after| position < *after)
            && self.until.as_ref().is_none_or(|until| position >= *until);
        if keep && comes_by {
            let place = self.rows.partition_point(|other| other.view.position() > position);
            self.rows.insert(place, row);
        }
    }

    /// The first `limit` rows, and the position after which the next page begins; `None` if there is none.
    pub(crate) fn cut(mut self, limit: usize) -> (Vec<Versioned<ListedOrder>>, Option<String>) {
        if !self.exceeds(limit) {
            return (self.rows, self.until);
        }
        self.rows.truncate(limit);
        let last = self.rows.last().map(|row| row.view.position());
        (self.rows, last)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    /// An order of minute `minute`, at `version`.
    fn row(minute: u32, version: u64) -> Versioned<ListedOrder> {
        let row = json!({
            "order_id": minute.to_string(), "status": "placed", "currency": "EUR", "total": 1, "item_count": 1,
            "placed_at": format!("2026-11-22T10:{minute:02}:00Z"), "version": version,
        });
        from_value(row).unwrap()
    }

    fn position(minute: u32) -> IndexPosition {
        IndexPosition { sort: row(minute, 1).view.position(), key: minute.to_string() }
    }

    /// The page of these minutes, between two positions.
    fn page(after: Option<u32>, minutes: &[u32], until: Option<u32>) -> Page {
        let mut page = Page::after(after.map(position).as_ref());
        page.add(minutes.iter().map(|minute| row(*minute, 1)), until.map(position).as_ref());
        page
    }

    fn shown(page: Page, limit: usize) -> (Vec<(String, u64)>, Option<String>) {
        let (rows, more_after) = page.cut(limit);
        (rows.into_iter().map(|row| (row.view.order_id, row.version.get())).collect(), more_after)
    }

    fn rows(rows: &[(u32, u64)]) -> Vec<(String, u64)> {
        rows.iter().map(|(minute, version)| (minute.to_string(), *version)).collect()
    }

    #[test]
    fn a_page_is_cut_to_its_limit_and_goes_on_after_its_last_row() {
        assert_eq!(shown(page(None, &[9, 8, 7], None), 2), (rows(&[(9, 1), (8, 1)]), Some(position(8).sort)));
        assert_eq!(shown(page(None, &[9, 8], None), 2), (rows(&[(9, 1), (8, 1)]), None));
        assert_eq!(shown(page(None, &[], Some(5)), 2), (rows(&[]), Some(position(5).sort)));
    }

    #[test]
    fn a_newer_row_takes_the_place_of_the_older_one() {
        let mut page = page(None, &[9, 8, 7], None);
        assert!(page.shows("8", Version::new(1)) && !page.shows("8", Version::new(2)));
        page.replace(row(8, 2), true);
        assert_eq!(shown(page, 9).0, rows(&[(9, 1), (8, 2), (7, 1)]));
    }

    #[test]
    fn a_row_that_the_filter_holds_back_now_goes() {
        let mut page = page(None, &[9, 8, 7], None);
        page.replace(row(8, 2), false);
        assert_eq!(shown(page, 9).0, rows(&[(9, 1), (7, 1)]));
    }

    #[test]
    fn a_row_that_is_not_listed_yet_comes_in_where_the_page_comes_by() {
        for (minute, comes_in) in [(10, false), (9, false), (8, true), (5, true), (4, false)] {
            let mut page = page(Some(9), &[7, 6], Some(5));
            page.replace(row(minute, 1), true);
            assert_eq!(page.shows(&minute.to_string(), Version::new(1)), comes_in, "{minute}");
        }
        let mut first_and_last = page(None, &[7], None);
        first_and_last.replace(row(10, 1), true);
        first_and_last.replace(row(1, 1), true);
        assert_eq!(shown(first_and_last, 9).0, rows(&[(10, 1), (7, 1), (1, 1)]));
    }
}
