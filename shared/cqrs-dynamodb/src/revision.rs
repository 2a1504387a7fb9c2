//! The revision of a view's item: the part of it that the next write is conditional on.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::Version;

use crate::{
    bookkeeping::Bookkeeping,
    item::{Item, number},
    parked::PARKED,
    views::{HASH, SCHEMA, VERSION},
};

/// The attributes that distinguish one state of a view's item from every other: version, hash of the commit, schema
/// version, bookkeeping and parked mark, each as stored or missing.
///
/// Damaged attributes are compared as they are stored, so that a damaged item can be overwritten, but its
/// contribution is never added twice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Revision(Vec<(&'static str, Option<AttributeValue>)>);

impl Revision {
    /// Returns the revision of a stored item.
    pub(crate) fn of(item: &Item) -> Self {
        let names = [VERSION, HASH, SCHEMA].into_iter().chain(Bookkeeping::ATTRIBUTES).chain([PARKED]);
        Self(names.map(|name| (name, item.get(name).cloned())).collect())
    }

    /// Returns the revision of an item that does not exist, in a table with the partition key `key`.
    pub(crate) fn absent(key: &'static str) -> Self {
        Self(vec![(key, None)])
    }

    /// Returns the revision after an instalment that changes the bookkeeping. `schema` is the schema version of an item
    /// that begins with the instalment.
    pub(crate) fn after_instalment(&self, bookkeeping: &Bookkeeping, schema: u32) -> Self {
        let stored = |name| self.0.iter().find(|(stored, _)| *stored == name).and_then(|(_, value)| value.clone());
        let mut after = vec![
            (VERSION, stored(VERSION).or_else(|| Some(number(Version::NONE)))),
            (HASH, stored(HASH)),
            (SCHEMA, stored(SCHEMA).or_else(|| Some(number(schema)))),
        ];
        after.extend(bookkeeping.attributes());
        after.push((PARKED, stored(PARKED)));
        Self(after)
    }

    /// Returns the condition expression: the stored item still has this revision.
    pub(crate) fn condition(&self) -> String {
        let unchanged = |(name, value): &(&str, Option<AttributeValue>)| match value {
            Some(_) => format!("#{name} = :{name}"),
            None => format!("attribute_not_exists(#{name})"),
        };
        self.0.iter().map(unchanged).collect::<Vec<_>>().join(" AND ")
    }

    /// Returns the attribute names of the condition.
    pub(crate) fn names(&self) -> HashMap<String, String> {
        self.0.iter().map(|(name, _)| (format!("#{name}"), (*name).to_owned())).collect()
    }

    /// Returns the attribute values of the condition, or `None` if it has none: DynamoDB rejects an empty map.
    pub(crate) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        let values = self.0.iter().filter_map(|(name, value)| Some((format!(":{name}"), value.clone()?)));
        Some(values.collect()).filter(|values: &HashMap<_, _>| !values.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::text;

    #[test]
    fn the_condition_compares_stored_attributes_and_requires_missing_ones_to_be_missing() {
        let item = Item::from([
            ("version".to_owned(), number(2)),
            ("schema".to_owned(), number(1)),
            ("status".to_owned(), text("placed")),
        ]);
        let revision = Revision::of(&item);
        assert_eq!(
            revision.condition(),
            "#version = :version AND attribute_not_exists(#hash) AND #schema = :schema \
             AND attribute_not_exists(#contribution) \
             AND attribute_not_exists(#counted) AND attribute_not_exists(#rows) AND attribute_not_exists(#parked)"
        );
        let values = HashMap::from([(":version".to_owned(), number(2)), (":schema".to_owned(), number(1))]);
        assert_eq!(revision.values(), Some(values));
    }

    #[test]
    fn the_condition_of_a_missing_item_has_no_values() {
        let revision = Revision::absent("loan_id");
        assert_eq!((revision.condition().as_str(), revision.values()), ("attribute_not_exists(#loan_id)", None));
    }
}
