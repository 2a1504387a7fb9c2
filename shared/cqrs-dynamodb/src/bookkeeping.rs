//! The bookkeeping of a view: what the stream of the view has added to the tables beside it.
//!
//! The view's item stores it. It changes only together with these tables, in one transaction.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::{Counters, Projection, ReadModel};

use crate::item::{Item, decode_counters, encode_counters};

pub(crate) const CONTRIBUTION: &str = "contribution";

/// What the stream of a view has added to the tables beside the view.
///
/// Entries of tables that the code no longer declares stay unchanged. So the counters stay correct if older code, which
/// does not know a table, writes the view for a while.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bookkeeping {
    /// The contribution of the view, by table of counters.
    pub contribution: BTreeMap<String, Counters>,
}

impl Bookkeeping {
    /// The attributes of a view's item that store the bookkeeping.
    pub(crate) const ATTRIBUTES: [&'static str; 1] = [CONTRIBUTION];

    /// Reads the bookkeeping of a view's item. Damaged entries count as missing.
    pub(crate) fn of(item: &Item) -> Self {
        Self {
            contribution: entries(item, CONTRIBUTION).map(|(table, value)| (table, decode_counters(value))).collect(),
        }
    }

    /// Returns the bookkeeping after a fold to this contribution.
    pub(crate) fn after<P: Projection>(&self, model: &ReadModel<P>, contribution: BTreeMap<String, Counters>) -> Self {
        let is_declared = |table: &String| model.rollups().iter().any(|rollup| rollup.table == table);
        let mut after = self.clone();
        after.contribution.retain(|table, _| !is_declared(table));
        after.contribution.extend(contribution);
        after
    }

    /// Returns the value of each of [`ATTRIBUTES`](Self::ATTRIBUTES), or `None` if it has no entry.
    pub(crate) fn attributes(&self) -> [(&'static str, Option<AttributeValue>); 1] {
        let nonzero = self.contribution.iter().filter(|(_, counters)| !counters.is_zero());
        [(CONTRIBUTION, map(nonzero.map(|(table, counters)| (table.clone(), encode_counters(counters)))))]
    }
}

fn entries<'a>(item: &'a Item, attribute: &str) -> impl Iterator<Item = (String, &'a AttributeValue)> {
    let map = item.get(attribute).and_then(|value| value.as_m().ok());
    map.into_iter().flatten().map(|(name, value)| (name.clone(), value))
}

/// Returns a map attribute, or `None` without entries.
fn map(entries: impl Iterator<Item = (String, AttributeValue)>) -> Option<AttributeValue> {
    let entries: std::collections::HashMap<_, _> = entries.collect();
    (!entries.is_empty()).then_some(AttributeValue::M(entries))
}
