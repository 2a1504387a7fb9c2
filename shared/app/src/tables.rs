//! The tables of a function: the event store and the read models, by the names that the domain declares.

use std::{collections::BTreeMap, sync::Arc};

use cqrs_dynamodb::StoreError;

/// The declared name of the event store's table.
pub const EVENTS: &str = "events";

/// The deployed names of tables, by their declared names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables(BTreeMap<&'static str, Arc<str>>);

impl Tables {
    /// Returns the deployed name of a table.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if the function does not declare the table.
    pub fn get(&self, declared: &str) -> Result<Arc<str>, StoreError> {
        let table = self.0.get(declared).cloned();
        table.ok_or_else(|| StoreError::Bug(format!("the function does not declare the table {declared}").into()))
    }

    /// Keeps only these tables.
    #[must_use]
    pub fn only(&self, declared: &[&str]) -> Self {
        let kept = self.0.iter().filter(|(name, _)| declared.contains(name));
        Self(kept.map(|(name, table)| (*name, Arc::clone(table))).collect())
    }
}

impl FromIterator<(&'static str, Arc<str>)> for Tables {
    fn from_iter<I: IntoIterator<Item = (&'static str, Arc<str>)>>(tables: I) -> Self {
        Self(tables.into_iter().collect())
    }
}

/// Returns the environment variable with the deployed name of a table: `ORDER_SUMMARIES_TABLE` for `order-summaries`.
pub fn variable(declared: &str) -> String {
    format!("{}_TABLE", declared.replace('-', "_").to_ascii_uppercase())
}

/// Returns the logical id of a table in the template, which is also its name in the local stack: `OrderSummariesTable`
/// for `order-summaries`.
pub fn logical_id(declared: &str) -> String {
    let capitalized = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    };
    declared.split('-').map(capitalized).chain(["Table".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_table_follow_from_its_declared_name() {
        assert_eq!(variable("loan-summaries"), "LOAN_SUMMARIES_TABLE");
        assert_eq!(logical_id("loan-summaries"), "LoanSummariesTable");
        assert_eq!(logical_id(EVENTS), "EventsTable");
    }

    #[test]
    fn a_table_that_is_not_declared_is_named() {
        let tables = Tables::from_iter([(EVENTS, "prod-events".into()), ("loans", "prod-loans".into())]);
        assert_eq!(&*tables.get(EVENTS).unwrap(), "prod-events");
        let error = tables.only(&["loans"]).get(EVENTS).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("the function does not declare the table events"));
    }
}
