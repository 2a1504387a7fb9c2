//! What a rule sends to its target: the event, a part of it, or a text made from it (Amazon EventBridge User Guide,
//! "Amazon EventBridge input transformation").

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

/// The input of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TargetInput {
    /// The event with its envelope.
    #[default]
    WholeEvent,
    /// `Input`: a fixed text.
    Fixed(String),
    /// `InputPath`: a part of the event.
    Part(EventPath),
    /// `InputTransformer`: a template with values of the event.
    Transformed(InputTemplate),
}

/// A template with placeholders such as `<days>`.
#[derive(Clone, Debug, PartialEq)]
pub struct InputTemplate {
    template: String,
    /// By the name of the placeholder.
    paths: BTreeMap<String, EventPath>,
}

/// A path in an event, such as `$.detail.fees[0].amount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Element(usize),
}

/// Placeholders that EventBridge defines itself.
const PREDEFINED: [&str; 2] = ["aws.events.event", "aws.events.event.json"];

impl TargetInput {
    /// Returns the text that the target gets for an event.
    pub fn of(&self, event: &Value) -> String {
        match self {
            Self::WholeEvent => event.to_string(),
            Self::Fixed(text) => text.clone(),
            Self::Part(path) => path.find(event).unwrap_or(&Value::Null).to_string(),
            Self::Transformed(template) => template.fill(event),
        }
    }
}

impl InputTemplate {
    /// Creates a template. `paths` has the path of each placeholder.
    ///
    /// # Errors
    /// Fails if a path is malformed, or if the template has a placeholder without a path.
    pub fn new(template: String, paths: &BTreeMap<String, String>) -> Result<Self, String> {
        let parse = |(name, path): (&String, &String)| Ok((name.clone(), EventPath::parse(path)?));
        let paths: BTreeMap<_, _> = paths.iter().map(parse).collect::<Result<_, String>>()?;
        let is_defined = |name: &str| paths.contains_key(name) || PREDEFINED.contains(&name);
        if let Some(unknown) =
            pieces(&template).into_iter().filter_map(Piece::placeholder).find(|name| !is_defined(name))
        {
            return Err(format!("the placeholder <{unknown}> is not in InputPathsMap"));
        }
        Ok(Self { template, paths })
    }

    /// The text with placeholders.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The paths by the names of their placeholders.
    pub fn paths(&self) -> impl Iterator<Item = (&String, &EventPath)> {
        self.paths.iter()
    }

    /// Fills the placeholders. A value outside quotes is JSON, and a text in quotes is inserted without its own quotes.
    /// A value that is missing is an empty text.
    fn fill(&self, event: &Value) -> String {
        let mut filled = String::new();
        for piece in pieces(&self.template) {
            match piece {
                Piece::Text(text) => filled += text,
                Piece::Placeholder { name, is_quoted } => {
                    let value = self.value(name, event);
                    let json = value.to_string();
                    filled += match &value {
                        Value::String(_) if is_quoted => json.get(1..json.len().saturating_sub(1)).unwrap_or_default(),
                        _ => &json,
                    };
                }
            }
        }
        filled
    }

    fn value(&self, name: &str, event: &Value) -> Value {
        let missing = || Value::String(String::new());
        match self.paths.get(name) {
            Some(path) => path.find(event).cloned().unwrap_or_else(missing),
            None if name == "aws.events.event.json" => event.clone(),
            None => {
                let mut envelope = event.clone();
                envelope.as_object_mut().map(|envelope| envelope.remove("detail"));
                envelope
            }
        }
    }
}

enum Piece<'a> {
    Text(&'a str),
    Placeholder { name: &'a str, is_quoted: bool },
}

impl<'a> Piece<'a> {
    fn placeholder(self) -> Option<&'a str> {
        match self {
            Self::Text(_) => None,
            Self::Placeholder { name, .. } => Some(name),
        }
    }
}

/// Splits a template into texts and placeholders. A placeholder is a name in angle brackets.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut rest, mut is_quoted) = (template, false);
    while let Some((text, after)) = rest.split_once('<') {
        let is_name =
            |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        match after.split_once('>').filter(|(name, _)| is_name(name)) {
            Some((name, after)) => {
                is_quoted ^= quotes(text) % 2 == 1;
                pieces.extend([Piece::Text(text), Piece::Placeholder { name, is_quoted }]);
                rest = after;
            }
            None => {
                is_quoted ^= quotes(text) % 2 == 1;
                pieces.extend([Piece::Text(text), Piece::Text("<")]);
                rest = after;
            }
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// Counts the quotes that begin or end a text of JSON.
fn quotes(text: &str) -> usize {
    let (mut number, mut is_escaped) = (0, false);
    for c in text.chars() {
        number += usize::from(c == '"' && !is_escaped);
        is_escaped = c == '\\' && !is_escaped;
    }
    number
}

impl EventPath {
    /// Parses a path of fields and list indexes.
    ///
    /// # Errors
    /// Fails for any other path, for example one with a wildcard.
    pub fn parse(path: &str) -> Result<Self, String> {
        let malformed = || format!("{path}: must be a path like $.detail.fees[0]; the local stack supports no others");
        let rest = path.strip_prefix('$').ok_or_else(malformed)?;
        let mut steps = Vec::new();
        for (number, segment) in rest.split('.').enumerate() {
            let (field, indexes) = segment.split_at(segment.find('[').unwrap_or(segment.len()));
            let is_field = !field.is_empty() && field.chars().all(|c| c.is_ascii_alphanumeric() || "_-/".contains(c));
            match (number, is_field) {
                (0, false) if field.is_empty() => {}
                (1.., true) => steps.push(Step::Field(field.to_owned())),
                _ => return Err(malformed()),
            }
            let mut indexes = indexes;
            while let Some(index) = indexes.strip_prefix('[') {
                let (index, after) = index.split_once(']').ok_or_else(malformed)?;
                steps.push(Step::Element(index.parse().map_err(|_| malformed())?));
                indexes = after;
            }
            if !indexes.is_empty() {
                return Err(malformed());
            }
        }
        Ok(Self(steps))
    }

    /// Returns the value at the path.
    pub fn find<'a>(&self, event: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(event, |value, step| match step {
            Step::Field(name) => value.get(name),
            Step::Element(index) => value.get(index),
        })
    }
}

impl fmt::Display for EventPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.0.iter().try_for_each(|step| match step {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Element(index) => write!(f, "[{index}]"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "id": "7", "detail-type": "loan.extended",
            "detail": { "reader": "Ada \"A\"", "days": 14, "fees": [{ "amount": 3 }], "item": { "title": "Dune" } },
        })
    }

    fn filled(template: &str, paths: &[(&str, &str)]) -> Result<String, String> {
        let paths = paths.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
        InputTemplate::new(template.to_owned(), &paths).map(|template| template.fill(&event()))
    }

    #[test]
    fn a_target_gets_the_event_or_a_part_of_it() {
        let part = |path: &str| TargetInput::Part(EventPath::parse(path).unwrap()).of(&event());
        assert_eq!(TargetInput::WholeEvent.of(&event()), event().to_string());
        assert_eq!(TargetInput::Fixed("{}".to_owned()).of(&event()), "{}");
        assert_eq!(part("$"), event().to_string());
        assert_eq!(part("$.detail-type"), "\"loan.extended\"");
        assert_eq!(part("$.detail.fees[0].amount"), "3");
        assert_eq!(part("$.detail.fees[1]"), "null");
        assert_eq!(EventPath::parse("$.detail.fees[0].amount").unwrap().to_string(), "$.detail.fees[0].amount");
    }

    #[test]
    fn a_template_gets_values_of_the_event() {
        let all = [
            ("reader", "$.detail.reader"),
            ("days", "$.detail.days"),
            ("item", "$.detail.item"),
            ("none", "$.detail.none"),
        ];
        for (template, expected) in [
            (r#"{"reader": <reader>, "days": <days>}"#, r#"{"reader": "Ada \"A\"", "days": 14}"#),
            (r#"{"text": "<reader> has <days> days"}"#, r#"{"text": "Ada \"A\" has 14 days"}"#),
            (
                r#"{"item": <item>, "none": <none>, "t": "<none>"}"#,
                r#"{"item": {"title":"Dune"}, "none": "", "t": ""}"#,
            ),
            (r#"{"a": "\"<days>\"", "b": <days>}"#, r#"{"a": "\"14\"", "b": 14}"#),
            (r#"{"a < b": 1, "c": "<"}"#, r#"{"a < b": 1, "c": "<"}"#),
            (r#""<days> days""#, r#""14 days""#),
            (r#"{"e": <aws.events.event>}"#, r#"{"e": {"detail-type":"loan.extended","id":"7"}}"#),
        ] {
            assert_eq!(filled(template, &all).unwrap(), expected, "{template}");
        }
        assert_eq!(filled("<aws.events.event.json>", &[]).unwrap(), event().to_string());
    }

    #[test]
    fn a_template_that_cannot_be_filled_is_an_error() {
        assert_eq!(filled("<days>", &[]).unwrap_err(), "the placeholder <days> is not in InputPathsMap");
        for path in ["detail", "$detail", "$.detail.*", "$.a[x]", "$.a[0", "$.a[0]b", "$..a", "$.a b", ""] {
            assert!(filled("<a>", &[("a", path)]).unwrap_err().starts_with(&format!("{path}: must be")), "{path}");
        }
    }
}
