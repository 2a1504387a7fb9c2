//! The bookkeeping of a view: what the stream of the view has added to the tables beside it.
//!
//! The view's item stores it. It changes only together with these tables, in one transaction.
//!
//! | attribute | value |
//! |---|---|
//! | `contribution` | by table of counters, row and column: the part of the counter that rollups added |
//! | `counted` | by tally: the version through which the events of the stream are counted |
//! | `rows` | by table of rows and key (partition, U+001F, sort): a digest of the stored row |

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::{Counters, Projection, ReadModel, RowKey, Version};

use crate::{
    fold::Folded,
    item::{Item, decode_counters, encode_counters, number, text},
};

const CONTRIBUTION: &str = "contribution";
const COUNTED: &str = "counted";
const ROWS: &str = "rows";

/// Separates partition and sort key in the attribute `rows`. A partition must not contain it.
pub(crate) const SEPARATOR: char = '\u{1f}';

/// The record of all additions by the stream of a view to the tables beside the view.
///
/// Entries that the code no longer declares stay unchanged. So the tables stay correct if older code, which does not
/// know a rollup, a tally or rows, writes the view for a while.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bookkeeping {
    /// The contribution of the view, by table of counters.
    pub contribution: BTreeMap<String, Counters>,
    /// The version through which each tally has counted the events of the stream.
    pub counted: BTreeMap<String, Version>,
    /// The digests of the stored rows, by table.
    pub rows: BTreeMap<String, BTreeMap<RowKey, String>>,
}

impl Bookkeeping {
    /// The attributes of a view's item that store the bookkeeping.
    pub(crate) const ATTRIBUTES: [&'static str; 3] = [CONTRIBUTION, COUNTED, ROWS];

    /// Reads the bookkeeping of a view's item. Damaged entries count as missing.
    pub(crate) fn of(item: &Item) -> Self {
        Self {
            contribution: entries(item.get(CONTRIBUTION)).map(|(table, rows)| (table, decode_counters(rows))).collect(),
            counted: entries(item.get(COUNTED)).filter_map(|(tally, n)| Some((tally, decode_version(n)?))).collect(),
            rows: entries(item.get(ROWS)).map(|(table, digests)| (table, decode_digests(digests))).collect(),
        }
    }

    /// Returns the version through which the tally has counted.
    pub(crate) fn counted(&self, tally: &str) -> Version {
        self.counted.get(tally).copied().unwrap_or(Version::NONE)
    }

    /// Lowers the versions of the tallies to `head`, if the stream ends there.
    pub(crate) fn end_at(&mut self, head: Version) {
        self.counted.values_mut().for_each(|counted| *counted = head.min(*counted));
    }

    /// Returns the bookkeeping after a fold, in which each tally counts the commits after the version in `self`.
    pub(crate) fn after<P: Projection>(&self, model: &ReadModel<P>, folded: &Folded<P::View>) -> Self {
        let mut after = self.clone();
        let rollups = model.rollups().iter().map(|rollup| rollup.table);
        for table in rollups.chain(model.tallies().iter().map(|tally| tally.table)) {
            after.contribution.remove(table);
        }
        after.contribution.extend(folded.beside.contribution.clone());
        for tally in model.tallies() {
            let counted = self.counted(tally.name).max(folded.position.version);
            after.counted.insert(tally.name.to_owned(), counted);
        }
        for declared in model.declared_rows() {
            let rows = folded.beside.rows.get(declared.name).into_iter().flatten();
            after.rows.insert(declared.name.to_owned(), rows.map(|(key, row)| (key.clone(), row.digest())).collect());
        }
        after
    }

    /// Returns the value of each of [`ATTRIBUTES`](Self::ATTRIBUTES), or `None` if it has no entry.
    pub(crate) fn attributes(&self) -> [(&'static str, Option<AttributeValue>); 3] {
        let contribution = self.contribution.iter().filter(|(_, counters)| !counters.is_zero());
        let counted = self.counted.iter().filter(|(_, version)| **version != Version::NONE);
        let rows = self.rows.iter().filter(|(_, digests)| !digests.is_empty());
        [
            (CONTRIBUTION, map(contribution.map(|(table, counters)| (table.clone(), encode_counters(counters))))),
            (COUNTED, map(counted.map(|(tally, version)| (tally.clone(), number(version))))),
            (ROWS, map(rows.map(|(table, digests)| (table.clone(), encode_digests(digests))))),
        ]
    }
}

fn encode_digests(digests: &BTreeMap<RowKey, String>) -> AttributeValue {
    let joined = |key: &RowKey| format!("{}{SEPARATOR}{}", key.partition, key.sort);
    AttributeValue::M(digests.iter().map(|(key, digest)| (joined(key), text(digest))).collect())
}

fn decode_digests(attribute: &AttributeValue) -> BTreeMap<RowKey, String> {
    let decode = |(joined, digest): (String, &AttributeValue)| {
        let (partition, sort) = joined.split_once(SEPARATOR)?;
        Some((RowKey::new(partition, sort), digest.as_s().ok()?.clone()))
    };
    entries(Some(attribute)).filter_map(decode).collect()
}

fn decode_version(attribute: &AttributeValue) -> Option<Version> {
    attribute.as_n().ok()?.parse().ok().map(Version::new)
}

fn entries(attribute: Option<&AttributeValue>) -> impl Iterator<Item = (String, &AttributeValue)> {
    let map = attribute.and_then(|value| value.as_m().ok());
    map.into_iter().flatten().map(|(name, value)| (name.clone(), value))
}

/// Returns a map attribute, or `None` without entries.
fn map(entries: impl Iterator<Item = (String, AttributeValue)>) -> Option<AttributeValue> {
    let entries: HashMap<_, _> = entries.collect();
    (!entries.is_empty()).then_some(AttributeValue::M(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookkeeping_survives_its_attributes() {
        let digests = BTreeMap::from([
            (RowKey::new("BOOK-1", "2026#1"), "00ff".to_owned()),
            (RowKey::new("PEN", ""), "1".to_owned()),
        ]);
        let bookkeeping = Bookkeeping {
            contribution: BTreeMap::from([("dashboard".to_owned(), Counters::default().with("totals", "loans", 1))]),
            counted: BTreeMap::from([("loans-per-day".to_owned(), Version::new(7))]),
            rows: BTreeMap::from([("loans-by-member".to_owned(), digests)]),
        };
        let attributes = bookkeeping.attributes().into_iter();
        let item = attributes.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        assert_eq!(Bookkeeping::of(&item), bookkeeping);
        assert!(Bookkeeping::default().attributes().iter().all(|(_, value)| value.is_none()), "no empty maps");
    }
}
