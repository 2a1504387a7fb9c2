//! A rollup: counters over the views of one projection.

use std::{
    collections::BTreeMap,
    ops::{AddAssign, Sub},
};

use serde::{Deserialize, Serialize};

/// Says what one view adds to the counters.
///
/// The counters over all views are kept as differences, so that a view which is written twice, late, or by changed code
/// cannot count wrongly.
pub trait Rollup {
    /// The view that is counted.
    type View;

    /// What `view` adds to the counters as it stands.
    fn contribution(view: &Self::View) -> Counters;
}

/// Numbers by row and column: an additive group. Numbers that are not there are zero, and zeros are not kept.
///
/// Counters wrap around beyond 128 bits, which keeps them a group; DynamoDB keeps 38 digits, a little less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counters(BTreeMap<String, BTreeMap<String, i128>>);

impl Counters {
    /// Adds `amount` to one number.
    pub fn add(&mut self, row: &str, column: &str, amount: i128) {
        if amount == 0 {
            return;
        }
        let columns = self.0.entry(row.to_owned()).or_default();
        let sum = columns.entry(column.to_owned()).or_default();
        *sum = sum.wrapping_add(amount);
        if *sum == 0 {
            columns.remove(column);
            if columns.is_empty() {
                self.0.remove(row);
            }
        }
    }

    /// These counters with `amount` added to one number.
    #[must_use]
    pub fn with(mut self, row: &str, column: &str, amount: i128) -> Self {
        self.add(row, column, amount);
        self
    }

    /// One number.
    pub fn get(&self, row: &str, column: &str) -> i128 {
        self.0.get(row).and_then(|columns| columns.get(column)).copied().unwrap_or_default()
    }

    /// The rows that hold a number other than zero, with their columns.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, i128>)> {
        self.0.iter().map(|(row, columns)| (row.as_str(), columns))
    }

    /// Whether all numbers are zero.
    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Every number that is not zero, as row, column and amount.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, i128)> {
        self.rows().flat_map(|(row, columns)| columns.iter().map(move |(column, sum)| (row, column.as_str(), *sum)))
    }
}

impl AddAssign<&Counters> for Counters {
    fn add_assign(&mut self, other: &Counters) {
        for (row, column, amount) in other.iter() {
            self.add(row, column, amount);
        }
    }
}

impl Sub<&Counters> for Counters {
    type Output = Counters;

    fn sub(mut self, other: &Counters) -> Counters {
        for (row, column, amount) in other.iter() {
            self.add(row, column, amount.wrapping_neg());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_away_again_leaves_nothing() {
        let counters = Counters::default().with("totals", "orders", 1).with("day", "orders", 2);
        assert!((counters.clone() - &counters).is_zero());
        assert_eq!(Counters::default().with("totals", "orders", 0), Counters::default());
    }

    #[test]
    fn a_sum_of_differences_is_the_difference_of_sums() {
        let (before, after) =
            (Counters::default().with("a", "x", 3), Counters::default().with("a", "x", 5).with("b", "y", 1));
        let mut counters = before.clone();
        counters += &(after.clone() - &before);
        assert_eq!(counters, after);
    }
}
