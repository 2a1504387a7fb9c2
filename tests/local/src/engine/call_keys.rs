//! The keys of the items that a call reads or writes, by the key schemas of the template.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    Template,
    template::{Key, TableDefinition},
};

/// Finds the keys in calls on the tables of a template.
#[derive(Clone, Debug)]
pub struct CallKeys {
    /// By logical id.
    keys: BTreeMap<String, Key>,
}

impl CallKeys {
    pub fn of(template: &Template) -> Self {
        let key = |(id, table): (&String, &TableDefinition)| (id.clone(), table.key.clone());
        Self { keys: template.tables.iter().map(key).collect() }
    }

    /// The subjects of the call with this body, in the order of the body.
    ///
    /// The subject of an item is its key. If the call writes a versioned item, `@` and the version follow. The subject
    /// of a query is its partition key.
    pub fn subjects(&self, body: &Value) -> Vec<String> {
        let actions = body["TransactItems"].as_array().into_iter().flatten();
        let actions = actions.flat_map(|action| action.as_object().into_iter().flatten()).map(|(_, action)| action);
        let of_tables = body["RequestItems"].as_object().into_iter().flatten();
        let read = of_tables.flat_map(|(table, read)| {
            let keys = read["Keys"].as_array().into_iter().flatten();
            keys.filter_map(|key| self.key(table, key))
        });
        let one = self.subject(body).or_else(|| partition(body));
        one.into_iter().chain(actions.filter_map(|action| self.subject(action))).chain(read).collect()
    }

    /// The subject of the item in a call or in an action of a transaction.
    fn subject(&self, action: &Value) -> Option<String> {
        let table = action["TableName"].as_str()?;
        let (Some(item), None) = (action.get("Item"), action.get("Key")) else {
            return self.key(table, action.get("Key")?);
        };
        let key = self.key(table, item)?;
        let is_in_key = self.schema(table)?.iter().any(|name| name == "version");
        let version = scalar(&item["version"]).filter(|_| !is_in_key);
        Some(version.map_or(key.clone(), |version| format!("{key}@{version}")))
    }

    /// The values of the key attributes in an item.
    fn key(&self, table: &str, item: &Value) -> Option<String> {
        let values: Option<Vec<&str>> = self.schema(table)?.iter().map(|name| scalar(&item[name])).collect();
        Some(values?.join("@"))
    }

    /// The key schema of a table, whose name is a prefix and its logical id.
    fn schema(&self, table: &str) -> Option<&Key> {
        let tables = self.keys.iter().filter(|(id, _)| table.ends_with(*id));
        tables.max_by_key(|(id, _)| id.len()).map(|(_, key)| key)
    }
}

/// The partition key of a query. A key condition compares nothing else for equality, except the sort key after it.
fn partition(query: &Value) -> Option<String> {
    let condition = query["KeyConditionExpression"].as_str()?;
    let (_, value) = condition.split(" AND ").next()?.split_once('=')?;
    scalar(&query["ExpressionAttributeValues"][value.trim()]).map(str::to_owned)
}

/// The text or the digits of an attribute.
fn scalar(attribute: &Value) -> Option<&str> {
    attribute["S"].as_str().or_else(|| attribute["N"].as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The tables of a library: events, and loans.
    fn library() -> CallKeys {
        let keys = [("EventsTable", &["stream", "version"][..]), ("LoansTable", &["loan_id"])];
        let key = |(id, key): (&str, &[&str])| (id.to_owned(), Key::new(&key[..1], &key[1..]));
        CallKeys { keys: keys.into_iter().map(key).collect() }
    }

    fn loan(id: &str, version: &str) -> Value {
        json!({ "loan_id": { "S": id }, "reader": { "S": "Ada" }, "version": { "N": version } })
    }

    #[test]
    fn the_subject_of_an_item_is_its_declared_key() {
        let keys = library();
        let get = json!({ "TableName": "LoansTable", "Key": { "loan_id": { "S": "7" } } });
        assert_eq!(keys.subjects(&get), ["7"]);
        let put = json!({ "TableName": "test-1-LoansTable", "Item": loan("7", "3") });
        assert_eq!(keys.subjects(&put), ["7@3"]);
        let commit = json!({ "stream": { "S": "loan#7" }, "version": { "N": "3" }, "trace": { "S": "random" } });
        assert_eq!(keys.subjects(&json!({ "TableName": "EventsTable", "Item": commit })), ["loan#7@3"]);
    }

    #[test]
    fn the_subject_of_a_query_is_its_partition_key() {
        let query = json!({
            "TableName": "EventsTable",
            "KeyConditionExpression": "#stream = :stream AND #version > :after",
            "ExpressionAttributeValues": { ":stream": { "S": "loan#7" }, ":after": { "N": "2" } },
        });
        assert_eq!(library().subjects(&query), ["loan#7"]);
    }

    #[test]
    fn a_call_with_several_items_has_a_subject_for_each() {
        let put = |id| json!({ "Put": { "TableName": "LoansTable", "Item": loan(id, "1") } });
        assert_eq!(library().subjects(&json!({ "TransactItems": [put("7"), put("8")] })), ["7@1", "8@1"]);
        let read = json!({ "LoansTable": { "Keys": [{ "loan_id": { "S": "7" } }, { "loan_id": { "S": "8" } }] } });
        assert_eq!(library().subjects(&json!({ "RequestItems": read })), ["7", "8"]);
    }

    #[test]
    fn a_call_on_an_unknown_table_has_no_subject() {
        assert!(library().subjects(&json!({ "TableName": "Others", "Key": { "id": { "S": "1" } } })).is_empty());
    }
}
