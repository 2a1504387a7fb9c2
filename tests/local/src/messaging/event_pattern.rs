//! Event patterns of rules (Amazon EventBridge User Guide, "Comparison operators for use in event patterns").

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

/// A pattern that selects events. It displays its JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPattern {
    json: Value,
    fields: ObjectPattern,
}

/// What a pattern requires of the fields of an object.
#[derive(Clone, Debug, PartialEq)]
struct ObjectPattern(BTreeMap<String, FieldPattern>);

/// What a pattern requires of one field.
#[derive(Clone, Debug, PartialEq)]
enum FieldPattern {
    /// The field is an object, or a list with an object, that matches.
    Object(ObjectPattern),
    /// At least one condition holds.
    OneOf(Vec<Condition>),
}

/// A condition for a value. It holds for a list if it holds for one of its elements.
#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Equals(Value),
    Prefix(String),
    AnythingBut(Vec<Value>),
    AnythingButPrefix(String),
    Exists(bool),
    /// All comparisons hold.
    Numeric(Vec<(Comparison, f64)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl EventPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// Fails if the pattern is malformed or has an operator that the local stack does not support. The error names the
    /// field.
    pub fn parse(pattern: &Value) -> Result<Self, String> {
        let fields = pattern.as_object().filter(|fields| !fields.is_empty());
        let fields = fields.ok_or("the event pattern must be an object with at least one field")?;
        Ok(Self { json: pattern.clone(), fields: ObjectPattern::of(fields, "")? })
    }

    /// Returns whether an event matches.
    pub fn matches(&self, event: &Value) -> bool {
        self.fields.matches(event)
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json.fmt(f)
    }
}

impl ObjectPattern {
    fn of(fields: &Map<String, Value>, path: &str) -> Result<Self, String> {
        let field = |(name, value): (&String, &Value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if name.starts_with('$') {
                return Err(format!("{path}: the local stack does not support {name} in an event pattern"));
            }
            let pattern = match value {
                Value::Object(fields) if !fields.is_empty() => FieldPattern::Object(Self::of(fields, &path)?),
                Value::Array(conditions) if !conditions.is_empty() => {
                    let condition = |value| Condition::parse(value).map_err(|reason| format!("{path}: {reason}"));
                    FieldPattern::OneOf(conditions.iter().map(condition).collect::<Result<_, _>>()?)
                }
                _ => return Err(format!("{path}: must be an object or a list, and not empty")),
            };
            Ok((name.clone(), pattern))
        };
        Ok(Self(fields.iter().map(field).collect::<Result<_, _>>()?))
    }

    fn matches(&self, value: &Value) -> bool {
        value.as_object().is_some_and(|object| self.matches_object(object))
    }

    fn matches_object(&self, event: &Map<String, Value>) -> bool {
        self.0.iter().all(|(name, pattern)| pattern.matches(event.get(name)))
    }
}

impl FieldPattern {
    fn matches(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Object(pattern), Some(Value::Array(elements))) => {
                elements.iter().any(|element| pattern.matches(element))
            }
            (Self::Object(pattern), Some(value)) => pattern.matches(value),
            // The fields of an object that is absent are absent, which `exists: false` requires.
            (Self::Object(pattern), None) => pattern.matches_object(&Map::new()),
            (Self::OneOf(conditions), value) => conditions.iter().any(|condition| condition.holds(value)),
        }
    }
}

impl Condition {
    fn parse(value: &Value) -> Result<Self, String> {
        let Value::Object(operator) = value else {
            return match value {
                Value::Array(_) => Err("a list in a list is not a condition".to_owned()),
                value => Ok(Self::Equals(value.clone())),
            };
        };
        let mut entries = operator.iter();
        let (Some((name, operand)), None) = (entries.next(), entries.next()) else {
            return Err("a condition must have exactly one operator".to_owned());
        };
        let unsupported = || format!("the local stack does not support the operator {name} with {operand}");
        match (name.as_str(), operand) {
            ("prefix", Value::String(prefix)) => Ok(Self::Prefix(prefix.clone())),
            ("exists", Value::Bool(exists)) => Ok(Self::Exists(*exists)),
            ("numeric", Value::Array(comparisons)) => Comparison::parse(comparisons).map(Self::Numeric),
            ("anything-but", Value::Array(values)) => match values.iter().find(|value| !is_text_or_number(value)) {
                None => Ok(Self::AnythingBut(values.clone())),
                Some(_) => Err(unsupported()),
            },
            ("anything-but", value) if is_text_or_number(value) => Ok(Self::AnythingBut(vec![value.clone()])),
            ("anything-but", Value::Object(inner)) => match (inner.len(), inner.get("prefix")) {
                (1, Some(Value::String(prefix))) => Ok(Self::AnythingButPrefix(prefix.clone())),
                _ => Err(unsupported()),
            },
            _ => Err(unsupported()),
        }
    }

    fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Exists(exists), value) => value.is_some() == *exists,
            (_, None) => false,
            (condition, Some(Value::Array(elements))) => elements.iter().any(|element| condition.holds_for(element)),
            (condition, Some(value)) => condition.holds_for(value),
        }
    }

    fn holds_for(&self, value: &Value) -> bool {
        match self {
            Self::Equals(expected) => equal(expected, value),
            Self::Prefix(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix)),
            Self::AnythingBut(excluded) => {
                is_text_or_number(value) && !excluded.iter().any(|other| equal(other, value))
            }
            Self::AnythingButPrefix(prefix) => value.as_str().is_some_and(|text| !text.starts_with(prefix)),
            Self::Numeric(comparisons) => value
                .as_f64()
                .is_some_and(|number| comparisons.iter().all(|(comparison, limit)| comparison.holds(number, *limit))),
            Self::Exists(exists) => *exists,
        }
    }
}

impl Comparison {
    /// Parses a list like `[">", 0, "<=", 5]`.
    fn parse(comparisons: &[Value]) -> Result<Vec<(Self, f64)>, String> {
        let pair = |pair: &[Value]| {
            let (operator, limit) = match pair {
                [Value::String(operator), Value::Number(limit)] => (operator.as_str(), limit.as_f64()?),
                _ => return None,
            };
            let comparison = match operator {
                "<" => Self::Less,
                "<=" => Self::LessOrEqual,
                "=" => Self::Equal,
                ">=" => Self::GreaterOrEqual,
                ">" => Self::Greater,
                _ => return None,
            };
            Some((comparison, limit))
        };
        let parsed: Option<Vec<_>> = comparisons.chunks(2).map(pair).collect();
        parsed
            .filter(|parsed| !parsed.is_empty())
            .ok_or_else(|| "numeric must be a list of comparisons, like [\">\", 0, \"<=\", 5]".to_owned())
    }

    #[allow(clippy::float_cmp, reason = "EventBridge compares numbers exactly")]
    fn holds(self, number: f64, limit: f64) -> bool {
        match self {
            Self::Less => number < limit,
            Self::LessOrEqual => number <= limit,
            Self::Equal => number == limit,
            Self::GreaterOrEqual => number >= limit,
            Self::Greater => number > limit,
        }
    }
}

fn is_text_or_number(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

/// Returns whether two scalars are equal. `1` and `1.0` are equal, and `1` and `"1"` are not.
fn equal(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => Comparison::Equal.holds(left, right),
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "source": "library", "detail-type": "loan.extended", "resources": ["a", "b"],
            "detail": {
                "days": 14, "reader": "Ada", "note": null, "first": true,
                "fees": [{ "kind": "late", "amount": 3 }, { "kind": "lost", "amount": 20 }],
            },
        })
    }

    #[test]
    fn a_pattern_selects_events() {
        for (pattern, matches) in [
            (json!({ "source": ["library"] }), true),
            (json!({ "source": ["shop"] }), false),
            (json!({ "source": ["shop", "library"], "detail-type": ["loan.extended"] }), true),
            (json!({ "source": ["library"], "detail-type": ["loan.opened"] }), false),
            (json!({ "account": ["1"] }), false),
            (json!({ "resources": ["b", "c"] }), true),
            (json!({ "resources": ["c"] }), false),
            (json!({ "detail": { "days": [14] } }), true),
            (json!({ "detail": { "days": [14.0] } }), true),
            (json!({ "detail": { "days": ["14"] } }), false),
            (json!({ "detail": { "note": [null] } }), true),
            (json!({ "detail": { "reader": [null] } }), false),
            (json!({ "detail": { "first": [true] } }), true),
            (json!({ "detail": { "fees": { "kind": ["lost"] } } }), true),
            (json!({ "detail": { "fees": { "kind": ["lost"], "amount": [20] } } }), true),
            (json!({ "detail": { "fees": { "kind": ["lost"], "amount": [3] } } }), false),
            (json!({ "detail": { "reader": { "name": ["Ada"] } } }), false),
            (json!({ "detail-type": [{ "prefix": "loan." }] }), true),
            (json!({ "detail-type": [{ "prefix": "loans." }, "loan.extended"] }), true),
            (json!({ "detail": { "days": [{ "prefix": "1" }] } }), false),
            (json!({ "detail-type": [{ "anything-but": "loan.opened" }] }), true),
            (json!({ "detail-type": [{ "anything-but": ["loan.opened", "loan.extended"] }] }), false),
            (json!({ "detail": { "days": [{ "anything-but": [14] }] } }), false),
            (json!({ "detail-type": [{ "anything-but": { "prefix": "loan." } }] }), false),
            (json!({ "detail-type": [{ "anything-but": { "prefix": "item." } }] }), true),
            (json!({ "detail": { "absent": [{ "anything-but": "x" }] } }), false),
            (json!({ "detail": { "note": [{ "exists": true }] } }), true),
            (json!({ "detail": { "absent": [{ "exists": true }] } }), false),
            (json!({ "detail": { "absent": [{ "exists": false }] } }), true),
            (json!({ "detail": { "absent": { "deeper": [{ "exists": false }] } } }), true),
            (json!({ "detail": { "days": [{ "exists": false }] } }), false),
            (json!({ "detail": { "days": [{ "numeric": [">", 0, "<=", 14] }] } }), true),
            (json!({ "detail": { "days": [{ "numeric": [">", 0, "<", 14] }] } }), false),
            (json!({ "detail": { "days": [{ "numeric": ["=", 14] }] } }), true),
            (json!({ "detail": { "days": [{ "numeric": [">=", 15] }] } }), false),
            (json!({ "detail": { "reader": [{ "numeric": [">", 0] }] } }), false),
        ] {
            assert_eq!(EventPattern::parse(&pattern).unwrap().matches(&event()), matches, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_is_not_supported_is_an_error_with_its_field() {
        for (pattern, error) in [
            (json!([]), "the event pattern must be an object with at least one field"),
            (json!({}), "the event pattern must be an object with at least one field"),
            (json!({ "source": "library" }), "source: must be an object or a list, and not empty"),
            (json!({ "detail": { "days": [] } }), "detail.days: must be an object or a list, and not empty"),
            (
                json!({ "source": [{ "suffix": "y" }] }),
                "source: the local stack does not support the operator suffix with \"y\"",
            ),
            (
                json!({ "source": [{ "anything-but": { "suffix": "y" } }] }),
                "source: the local stack does not support the operator anything-but with {\"suffix\":\"y\"}",
            ),
            (
                json!({ "detail": { "$or": [{ "a": [1] }] } }),
                "detail.$or: the local stack does not support $or in an event pattern",
            ),
            (
                json!({ "source": [{ "prefix": "a", "exists": true }] }),
                "source: a condition must have exactly one operator",
            ),
            (json!({ "source": [["a"]] }), "source: a list in a list is not a condition"),
            (
                json!({ "detail": { "days": [{ "numeric": [">"] }] } }),
                "detail.days: numeric must be a list of comparisons, like [\">\", 0, \"<=\", 5]",
            ),
        ] {
            assert_eq!(EventPattern::parse(&pattern).unwrap_err(), error);
        }
    }
}
