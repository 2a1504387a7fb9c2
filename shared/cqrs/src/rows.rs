//! Rows: several items that the projector derives from one view, in a table of their own (fan-out).

use std::{collections::BTreeMap, fmt::Write};

use serde::{Serialize, de::DeserializeOwned, ser::Error};
use serde_json::{Map, Value};

use crate::{Projection, digest, identity::hex};

/// Derives rows from a view: a list that needs several items per view or another key than the view's, such as the
/// orders by SKU.
///
/// The transactions that write the view also write and remove the rows that changed. A new version of the view alone
/// rewrites no row. After a change of [`rows`](Self::rows), raise [`Projection::SCHEMA`].
///
/// Costs, for each row that a write changes, one action of its transaction and two write units per KB. The view's item
/// stores the key and a short digest of each row. A view with more changes than fit into one transaction is written in
/// instalments, during which lists show a part of the change.
pub trait Rows: 'static {
    /// The projection whose views have the rows.
    type Projection: Projection;
    /// A row. Serializes as an object, whose fields are stored as top-level attributes. The names `partition` and
    /// `sort` are reserved. The attribute [`Projection::KEY`] holds the key of the stream; a row may declare it as a
    /// field.
    type Row: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The name, and that of the table. Unique among all names that a system declares.
    const NAME: &'static str;

    /// Returns the rows of `view`. Of several rows with the same key, the last one is stored.
    fn rows(view: &<Self::Projection as Projection>::View) -> Vec<(RowKey, Self::Row)>;
}

/// The key of a row among the rows of its view. Views never share a row: the stored sort key ends with the key of the
/// stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// The list that the row is in, such as an SKU. Not empty, and at most 2,048 bytes.
    pub partition: String,
    /// The position in the list. With the key of the stream at most 1,023 bytes.
    pub sort: String,
}

impl RowKey {
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into() }
    }
}

/// A row in its serialized form.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct SerializedRow(Map<String, Value>);

/// The rows of one view in their serialized form, by key.
pub type SerializedRows = BTreeMap<RowKey, SerializedRow>;

/// Rows without their type.
pub struct DeclaredRows<V> {
    pub name: &'static str,
    pub rows: fn(&V) -> Result<SerializedRows, serde_json::Error>,
}

impl SerializedRow {
    /// Serializes a row.
    ///
    /// # Errors
    /// If the row does not serialize as an object.
    pub fn new(row: &impl Serialize) -> Result<Self, serde_json::Error> {
        match serde_json::to_value(row)? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(serde_json::Error::custom("a row must serialize as an object")),
        }
    }

    pub fn has_field(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns a digest of 16 hexadecimal digits that does not depend on the order of the fields. Stored with the view.
    pub fn digest(&self) -> String {
        let mut canonical = String::new();
        write_object(&self.0, &mut canonical);
        let mut digits = hex(&digest(&[&canonical]));
        digits.truncate(16);
        digits
    }
}

pub(crate) fn serialize<R: Rows>(
    view: &<R::Projection as Projection>::View,
) -> Result<SerializedRows, serde_json::Error> {
    R::rows(view).into_iter().map(|(key, row)| Ok((key, SerializedRow::new(&row)?))).collect()
}

/// Writes a JSON object with sorted fields. The map of serde_json is sorted only without its feature `preserve_order`.
fn write_object(fields: &Map<String, Value>, text: &mut String) {
    let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
    text.push('{');
    for (name, value) in sorted {
        let _ = write!(text, "{}:", Value::from(name.as_str()));
        write_value(value, text);
        text.push(',');
    }
    text.push('}');
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => write_object(fields, text),
        Value::Array(values) => {
            text.push('[');
            for value in values {
                write_value(value, text);
                text.push(',');
            }
            text.push(']');
        }
        scalar => drop(write!(text, "{scalar}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_digest_depends_on_the_content_and_not_on_the_sequence_of_fields() {
        let digest = |row: &str| SerializedRow::new(&serde_json::from_str::<Value>(row).unwrap()).unwrap().digest();
        let row = digest(r#"{"quantity": 2, "tags": [{"a": 1, "b": 2}]}"#);
        assert_eq!(row, digest(r#"{"tags": [{"b": 2, "a": 1}], "quantity": 2}"#));
        assert_ne!(row, digest(r#"{"quantity": 2, "tags": [{"a": 1, "b": 3}]}"#));
        assert_eq!(digest("{}"), "7cf4b3ea3b7fb829", "stored digests never change");
    }

    #[test]
    fn a_row_must_be_an_object() {
        let error = SerializedRow::new(&json!(["BOOK-1"])).unwrap_err();
        assert_eq!(error.to_string(), "a row must serialize as an object");
    }
}
