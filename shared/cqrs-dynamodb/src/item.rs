//! Items: how values become attributes, and how much room they take.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{operation::put_item::PutItemError, types::AttributeValue};
use cqrs::Counters;

/// A DynamoDB item: attributes by name. The SDK's own type; it is never iterated where the order would show.
pub type Item = HashMap<String, AttributeValue>;

/// A text attribute.
pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub(crate) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The item that stood in the way of a put with a condition, as `ALL_OLD` gives it; `None` if there was none.
pub(crate) fn existing_item(error: PutItemError) -> Option<Item> {
    let PutItemError::ConditionalCheckFailedException(failed) = error else { return None };
    failed.item.filter(|item| !item.is_empty())
}

/// Counters as an attribute: a map of rows, each a map of numbers.
pub(crate) fn from_counters(counters: &Counters) -> AttributeValue {
    let row = |columns: &BTreeMap<String, i128>| {
        AttributeValue::M(columns.iter().map(|(column, sum)| (column.clone(), number(sum))).collect())
    };
    AttributeValue::M(counters.rows().map(|(name, columns)| (name.to_owned(), row(columns))).collect())
}

/// The counters in an attribute made by [`from_counters`]; what is not a number there counts as none.
pub(crate) fn to_counters(attribute: &AttributeValue) -> Counters {
    let mut counters = Counters::default();
    for (row, columns) in attribute.as_m().into_iter().flatten() {
        for (column, sum) in columns.as_m().into_iter().flatten() {
            add_number(&mut counters, row, column, sum);
        }
    }
    counters
}

/// Adds the attribute to the counters if it is a whole number.
pub(crate) fn add_number(counters: &mut Counters, row: &str, column: &str, attribute: &AttributeValue) {
    if let Some(amount) = attribute.as_n().ok().and_then(|number| number.parse().ok()) {
        counters.add(row, column, amount);
    }
}

/// The size of an item in bytes, as the DynamoDB Developer Guide counts it ("Item sizes and formats"); numbers at
/// their most, 21 bytes.
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
        // Bool, Null and what may be added to the non-exhaustive enum.
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_survive_being_stored_to_the_last_digit() {
        let counters =
            Counters::default().with("totals", "revenue:EUR", i128::from(u64::MAX) * 1000).with("day", "orders", -1);
        assert_eq!(to_counters(&from_counters(&counters)), counters);
    }

    #[test]
    fn an_item_is_as_large_as_the_guide_says() {
        let item = Item::from([("id".to_owned(), text("äb")), ("n".to_owned(), number(1234))]);
        assert_eq!(size(&item), 2 + 3 + 1 + 4);
    }
}
