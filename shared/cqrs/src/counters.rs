//! Counters: numbers by row and column, with addition and its reverse.

use std::{
    collections::BTreeMap,
    ops::{AddAssign, Sub},
};

use serde::{Deserialize, Serialize};

/// Numbers by row and column. A missing number is zero, and zeros are not stored.
///
/// Numbers wrap around beyond 128 bits, so that subtraction always reverses addition. DynamoDB stores 38 digits, which
/// is slightly less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counters(BTreeMap<String, BTreeMap<String, i128>>);

impl Counters {
    /// Adds `amount` to the number at `row` and `column`.
    pub fn add(&mut self, row: &str, column: &str, amount: i128) {
        if amount == 0 {
            return;
        }
        let columns = self.0.entry(row.to_owned()).or_default();
        let number = columns.entry(column.to_owned()).or_default();
        *number = number.wrapping_add(amount);
        if *number == 0 {
            columns.remove(column);
            if columns.is_empty() {
                self.0.remove(row);
            }
        }
    }

    /// Adds `amount` to the number at `row` and `column`, and returns the counters.
    #[must_use]
    pub fn with(mut self, row: &str, column: &str, amount: i128) -> Self {
        self.add(row, column, amount);
        self
    }

    /// Returns the number at `row` and `column`, or zero.
    pub fn get(&self, row: &str, column: &str) -> i128 {
        self.0.get(row).and_then(|columns| columns.get(column)).copied().unwrap_or_default()
    }

    /// Iterates over the rows that have a number other than zero, with their columns.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, i128>)> {
        self.0.iter().map(|(row, columns)| (row.as_str(), columns))
    }

    /// Splits the counters into those of each row.
    pub fn split_rows(&self) -> impl Iterator<Item = Self> {
        self.0.iter().map(|(row, columns)| Self(BTreeMap::from([(row.clone(), columns.clone())])))
    }

    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the numbers other than zero, as row, column and number.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, i128)> {
        self.rows()
            .flat_map(|(row, columns)| columns.iter().map(move |(column, number)| (row, column.as_str(), *number)))
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
    fn counters_minus_themselves_are_zero() {
        let counters = Counters::default().with("totals", "loans", 1).with("day", "loans", 2);
        assert!((counters.clone() - &counters).is_zero());
        assert_eq!(Counters::default().with("totals", "loans", 0), Counters::default());
    }

    #[test]
    fn adding_the_difference_turns_the_old_counters_into_the_new() {
        let (before, after) =
            (Counters::default().with("a", "x", 3), Counters::default().with("a", "x", 5).with("b", "y", 1));
        let mut counters = before.clone();
        counters += &(after.clone() - &before);
        assert_eq!(counters, after);
    }
}
