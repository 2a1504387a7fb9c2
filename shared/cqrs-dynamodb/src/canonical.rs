//! The canonical form of an item: the input of a commit's hash.
//!
//! It is JSON without white space:
//!
//! - The fields of an object are sorted by the bytes of their names.
//! - A text has the escapes `\"`, `\\`, `\b`, `\f`, `\n`, `\r` and `\t`, and `\u001f` for other control characters.
//! - A number is decimal, without an exponent, a plus sign, leading zeros, or trailing zeros after the point. So it
//!   does not depend on the notation in which an engine returns a number.
//! - A binary value is a text of hexadecimal digits; a set is a sorted array.
//!
//! For items without fractions, sets and binary values, this is the output of Python's
//! `json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)`.

use aws_sdk_dynamodb::types::AttributeValue;
use cqrs::identity::hex;
use serde_json::Value;

use crate::item::Item;

/// Returns the canonical form of the item, without the attribute `except`.
pub(crate) fn canonical(item: &Item, except: &str) -> String {
    let mut text = String::with_capacity(1024);
    write_object(item.iter().filter(|(name, _)| *name != except), &mut text);
    text
}

fn write_object<'a>(fields: impl Iterator<Item = (&'a String, &'a AttributeValue)>, text: &mut String) {
    let mut sorted: Vec<(&String, &AttributeValue)> = fields.collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    write_list(('{', '}'), sorted, text, |(name, value), text| {
        write_text(name, text);
        text.push(':');
        write_value(value, text);
    });
}

fn write_value(value: &AttributeValue, text: &mut String) {
    match value {
        AttributeValue::S(value) => write_text(value, text),
        AttributeValue::N(number) => write_number(number, text),
        AttributeValue::B(bytes) => write_text(&hex(bytes.as_ref()), text),
        AttributeValue::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        AttributeValue::M(fields) => write_object(fields.iter(), text),
        AttributeValue::L(values) => write_list(('[', ']'), values, text, write_value),
        AttributeValue::Ss(texts) => write_set(texts.iter().map(|value| AttributeValue::S(value.clone())), text),
        AttributeValue::Ns(numbers) => write_set(numbers.iter().map(|value| AttributeValue::N(value.clone())), text),
        AttributeValue::Bs(values) => write_set(values.iter().map(|value| AttributeValue::B(value.clone())), text),
        // Null, and variants that the non-exhaustive enum may gain.
        _ => text.push_str("null"),
    }
}

fn write_set(values: impl Iterator<Item = AttributeValue>, text: &mut String) {
    let written = values.map(|value| {
        let mut text = String::new();
        write_value(&value, &mut text);
        text
    });
    let mut sorted: Vec<String> = written.collect();
    sorted.sort();
    write_list(('[', ']'), sorted, text, |value, text| text.push_str(&value));
}

fn write_list<T>(
    (open, close): (char, char),
    values: impl IntoIterator<Item = T>,
    text: &mut String,
    write: impl Fn(T, &mut String),
) {
    text.push(open);
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write(value, text);
    }
    text.push(close);
}

fn write_text(value: &str, text: &mut String) {
    // Most texts need no escape.
    if value.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        text.extend(["\"", value, "\""]);
    } else {
        text.push_str(&Value::from(value).to_string());
    }
}

/// Writes a number in decimal notation, or the text itself if it is not a number.
fn write_number(number: &str, text: &mut String) {
    let is_decimal = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    match Some(number).filter(|_| !is_decimal).and_then(decimal) {
        Some(decimal) => text.push_str(&decimal),
        None => text.push_str(number),
    }
}

/// Returns a number in decimal notation, or `None` if it is not a number.
fn decimal(number: &str) -> Option<String> {
    let (sign, unsigned) = match number.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", number.strip_prefix('+').unwrap_or(number)),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok().filter(|exponent| (-1000..=1000).contains(exponent))?;
    let digits: String = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // The position of the decimal point in `digits`.
    let point = i64::try_from(whole.len()).ok()? + exponent;
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point <= digits.len() => {
            let (whole, fraction) = digits.split_at(point);
            (whole.to_owned(), fraction.to_owned())
        }
        Ok(point) => (format!("{digits:0<point$}"), String::new()),
        Err(_) => {
            let width = digits.len() + usize::try_from(-point).ok()?;
            (String::new(), format!("{digits:0>width$}"))
        }
    };
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(match fraction {
        "" if whole == "0" => "0".to_owned(),
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::primitives::Blob;

    use super::*;
    use crate::item::{number, text};

    #[test]
    fn numbers_are_decimal_in_one_notation() {
        for (stored, canonical) in [
            ("1250", "1250"),
            ("0", "0"),
            ("-0", "0"),
            ("007", "7"),
            ("+7", "7"),
            ("-12.50", "-12.5"),
            ("1E2", "100"),
            ("1.5e-3", "0.0015"),
            ("0.10", "0.1"),
            ("10.0", "10"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
            ("1e20", "100000000000000000000"),
            ("not a number", "not a number"),
        ] {
            let mut text = String::new();
            write_number(stored, &mut text);
            assert_eq!(text, canonical, "{stored}");
        }
    }

    #[test]
    fn the_canonical_form_is_sorted_json_without_white_space() {
        let list = vec![
            AttributeValue::Bool(true),
            AttributeValue::Null(true),
            AttributeValue::B(Blob::new([0, 255])),
            AttributeValue::Ns(vec!["2".to_owned(), "1.0".to_owned()]),
        ];
        let item = Item::from([
            ("version".to_owned(), number(1)),
            ("text".to_owned(), text("\"Ä\n\u{1f}/")),
            ("list".to_owned(), AttributeValue::L(list)),
            (
                "map".to_owned(),
                AttributeValue::M(Item::from([("b".to_owned(), number(2)), ("a".to_owned(), number(1))])),
            ),
            ("hash".to_owned(), text("left out")),
        ]);
        let expected = r#"{"list":[true,null,"00ff",[1,2]],"map":{"a":1,"b":2},"text":"\"Ä\n\u001f/","version":1}"#;
        assert_eq!(canonical(&item, "hash"), expected);
    }
}
