//! The bookkeeping of a view: what the stream of the view has added to the tables beside it.
//!
//! The view's item stores it. It changes only together with these tables, in one transaction.
//!
//! | attribute | value |
//! |---|---|
//! | `contribution` | by table of counters, [generation](crate::generations), row and column: what rollups added |
//! | `counted` | by tally and generation: the version through which the events of the stream are counted |
//! | `rows` | by table of rows and key (partition, U+001F, sort): a digest of the stored row |

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::{Counters, Projection, ReadModel, RowKey, Version};

use crate::{
    Generation, InGeneration,
    fold::Folded,
    generations::MaintainedGenerations,
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
    /// The contribution of the view, by table of counters and generation. An entry without counters shows that the view
    /// contributes nothing.
    pub contribution: BTreeMap<InGeneration, Counters>,
    /// The version through which each tally has counted the events of the stream, by generation.
    pub counted: BTreeMap<InGeneration, Version>,
    /// The digests of the stored rows, by table.
    pub rows: BTreeMap<String, BTreeMap<RowKey, String>>,
}

impl Bookkeeping {
    /// The attributes of a view's item that store the bookkeeping.
    pub(crate) const ATTRIBUTES: [&'static str; 3] = [CONTRIBUTION, COUNTED, ROWS];

    /// Reads the bookkeeping of a view's item. Damaged entries count as missing.
    pub(crate) fn of(item: &Item) -> Self {
        Self {
            contribution: in_generations(item.get(CONTRIBUTION), |rows| Some(decode_counters(rows))),
            counted: in_generations(item.get(COUNTED), decode_version),
            rows: entries(item.get(ROWS)).map(|(table, digests)| (table, decode_digests(digests))).collect(),
        }
    }

    /// Returns the version through which the tally has counted in a generation.
    pub(crate) fn counted(&self, tally: &str, generation: Generation) -> Version {
        self.counted.get(&InGeneration::new(tally, generation)).copied().unwrap_or(Version::NONE)
    }

    /// Returns the generations in which the stream has an entry for this table of counters.
    pub(crate) fn generations<P: Projection>(&self, model: &ReadModel<P>, table: &str) -> BTreeSet<Generation> {
        let is_of_table = |tally: &str| model.tallies().iter().any(|t| t.name == tally && t.table == table);
        let contributions = self.contribution.keys().filter(|entry| entry.name == table);
        let tallies = self.counted.keys().filter(|entry| is_of_table(&entry.name));
        contributions.chain(tallies).map(|entry| entry.generation).collect()
    }

    /// Returns whether a rollup or a tally of `model` has not counted the view at `version` in a maintained generation.
    pub(crate) fn lacks<P: Projection>(
        &self,
        model: &ReadModel<P>,
        generations: &MaintainedGenerations,
        version: Version,
    ) -> bool {
        let lacks_rollup = |table: &str| {
            generations.of_table(table).any(|g| !self.contribution.contains_key(&InGeneration::new(table, g)))
        };
        let lacks_tally =
            |name: &str, table: &str| generations.of_table(table).any(|g| self.counted(name, g) < version);
        model.rollups().iter().any(|rollup| lacks_rollup(rollup.table))
            || model.tallies().iter().any(|tally| lacks_tally(tally.name, tally.table))
    }

    /// Limits the versions of all tallies to `head`, the end of a restored stream.
    pub(crate) fn limit_counted_to(&mut self, head: Version) {
        self.counted.values_mut().for_each(|counted| *counted = head.min(*counted));
    }

    /// Returns the bookkeeping after a fold, in which each tally counts the commits after the version in `self`.
    /// Entries of declared tables in other generations are removed.
    pub(crate) fn after<P: Projection>(
        &self,
        model: &ReadModel<P>,
        generations: &MaintainedGenerations,
        folded: &Folded<P::View>,
    ) -> Self {
        let mut after = self.clone();
        let tables = model.counters_tables();
        after.contribution.retain(|entry, _| !tables.contains(entry.name.as_str()));
        after.counted.retain(|entry, _| model.tallies().iter().all(|tally| tally.name != entry.name));
        for rollup in model.rollups() {
            let contribution = folded.beside.contribution.get(rollup.table).cloned().unwrap_or_default();
            let entry = |generation| (InGeneration::new(rollup.table, generation), contribution.clone());
            after.contribution.extend(generations.of_table(rollup.table).map(entry));
        }
        for tally in model.tallies() {
            let counted = |generation| self.counted(tally.name, generation).max(folded.position.version);
            let entry = |generation| (InGeneration::new(tally.name, generation), counted(generation));
            after.counted.extend(generations.of_table(tally.table).map(entry));
        }
        for declared in model.declared_rows() {
            let rows = folded.beside.rows.get(declared.name).into_iter().flatten();
            after.rows.insert(declared.name.to_owned(), rows.map(|(key, row)| (key.clone(), row.digest())).collect());
        }
        after
    }

    /// Returns the value of each of [`ATTRIBUTES`](Self::ATTRIBUTES), or `None` if it has no entry.
    pub(crate) fn attributes(&self) -> [(&'static str, Option<AttributeValue>); 3] {
        let counted = self.counted.iter().filter(|(_, version)| **version != Version::NONE);
        let rows = self.rows.iter().filter(|(_, digests)| !digests.is_empty());
        [
            (CONTRIBUTION, by_generation(self.contribution.iter(), encode_counters)),
            (COUNTED, by_generation(counted, number)),
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

/// Reads a map by name and generation. Damaged entries count as missing.
fn in_generations<T>(
    attribute: Option<&AttributeValue>,
    decode: impl Fn(&AttributeValue) -> Option<T>,
) -> BTreeMap<InGeneration, T> {
    let generations = entries(attribute).flat_map(|(name, generations)| {
        entries(Some(generations)).map(move |(generation, value)| (name.clone(), generation, value))
    });
    let decoded = generations.filter_map(|(name, generation, value)| {
        Some((InGeneration::new(name, Generation::new(generation.parse().ok()?)), decode(value)?))
    });
    decoded.collect()
}

/// Returns a map attribute by name and generation, or `None` without entries.
fn by_generation<'a, T: 'a>(
    values: impl Iterator<Item = (&'a InGeneration, &'a T)>,
    encode: impl Fn(&'a T) -> AttributeValue,
) -> Option<AttributeValue> {
    let mut by_name: BTreeMap<&String, HashMap<String, AttributeValue>> = BTreeMap::new();
    for (entry, value) in values {
        by_name.entry(&entry.name).or_default().insert(entry.generation.to_string(), encode(value));
    }
    map(by_name.into_iter().map(|(name, generations)| (name.clone(), AttributeValue::M(generations))))
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
        let in_generation = |name: &str, number| InGeneration::new(name, Generation::new(number));
        let counters = Counters::default().with("totals", "loans", 1);
        let bookkeeping = Bookkeeping {
            contribution: BTreeMap::from([
                (in_generation("dashboard", 1), counters),
                (in_generation("dashboard", 2), Counters::default()),
            ]),
            counted: BTreeMap::from([(in_generation("loans-per-day", 1), Version::new(7))]),
            rows: BTreeMap::from([("loans-by-member".to_owned(), digests)]),
        };
        let attributes = bookkeeping.attributes().into_iter();
        let item = attributes.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        assert_eq!(Bookkeeping::of(&item), bookkeeping);
        assert!(Bookkeeping::default().attributes().iter().all(|(_, value)| value.is_none()), "no empty maps");
    }
}
