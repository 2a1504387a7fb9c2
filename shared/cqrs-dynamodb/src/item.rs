//! DynamoDB items: attributes, counters as an attribute, and sizes.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use cqrs::Counters;

/// The size limit of an item in bytes (Amazon DynamoDB Developer Guide, "Quotas").
pub(crate) const MAX_ITEM: usize = 400 * 1024;

/// A DynamoDB item in the SDK's own type. The code never depends on its iteration order.
pub type Item = HashMap<String, AttributeValue>;

pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(crate) fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// Returns the text attribute `name`, or `None` if it is missing or not a text.
pub(crate) fn text_of<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// Returns the number attribute `name`, or `None` if it is missing, not a number, or out of the range of `N`.
pub(crate) fn number_of<N: std::str::FromStr>(item: &Item, name: &str) -> Option<N> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// Encodes counters as a map of rows, each a map of numbers.
pub(crate) fn encode_counters(counters: &Counters) -> AttributeValue {
    let row = |columns: &BTreeMap<String, i128>| {
        AttributeValue::M(columns.iter().map(|(column, value)| (column.clone(), number(value))).collect())
    };
    AttributeValue::M(counters.rows().map(|(name, columns)| (name.to_owned(), row(columns))).collect())
}

/// Decodes counters that [`encode_counters`] encoded. Values that are not whole numbers are skipped.
pub(crate) fn decode_counters(attribute: &AttributeValue) -> Counters {
    let mut counters = Counters::default();
    for (row, columns) in attribute.as_m().into_iter().flatten() {
        for (column, value) in columns.as_m().into_iter().flatten() {
            add_number(&mut counters, row, column, value);
        }
    }
    counters
}

/// Adds the attribute to the counters, if it is a whole number.
pub(crate) fn add_number(counters: &mut Counters, row: &str, column: &str, attribute: &AttributeValue) {
    if let Some(amount) = attribute.as_n().ok().and_then(|number| number.parse().ok()) {
        counters.add(row, column, amount);
    }
}

/// Returns the size of an item in bytes, by the rules of the DynamoDB Developer Guide, "DynamoDB item sizes and
/// formats". A number counts up to 21 bytes.
pub fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => (digits.len() / 2 + 2).min(21),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        AttributeValue::M(entries) => 3 + entries.iter().map(|(k, v)| 1 + k.len() + value_size(v)).sum::<usize>(),
        AttributeValue::Ss(texts) | AttributeValue::Ns(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Bs(blobs) => blobs.iter().map(|bytes| bytes.as_ref().len()).sum(),
        // Bool, Null, and variants that the non-exhaustive enum may gain.
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_survive_encoding_to_the_last_digit() {
        let counters =
            Counters::default().with("totals", "revenue:EUR", i128::from(u64::MAX) * 1000).with("day", "loans", -1);
        assert_eq!(decode_counters(&encode_counters(&counters)), counters);
    }

    #[test]
    fn item_sizes_follow_the_developer_guide() {
        let item = Item::from([("id".to_owned(), text("äb")), ("n".to_owned(), number(1234))]);
        assert_eq!(size(&item), 2 + 3 + 1 + 4);
    }
}
