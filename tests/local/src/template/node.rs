//! A node of the template.

use serde_json::Value as Json;
use serde_yaml_ng::Value;

/// A node of the template with its path, for errors.
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) path: String,
}

impl<'a> Node<'a> {
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        let value = self.value.as_mapping()?.get(name)?;
        Some(Node { value, path: format!("{}/{name}", self.path) })
    }

    pub(super) fn need(&self, name: &str) -> Result<Node<'a>, String> {
        self.get(name).ok_or_else(|| format!("{}: {name} is missing", self.path))
    }

    pub(super) fn entries(&self) -> Vec<(String, Node<'a>)> {
        let mapping = self.value.as_mapping().into_iter().flatten();
        let entry = |(name, value): (&'a Value, &'a Value)| {
            let name = name.as_str()?.to_owned();
            Some((name.clone(), Node { value, path: format!("{}/{name}", self.path) }))
        };
        mapping.filter_map(entry).collect()
    }

    pub(super) fn list<T>(&self, read: impl Fn(&Node<'a>) -> Result<T, String>) -> Result<Vec<T>, String> {
        let values = self.value.as_sequence().ok_or_else(|| format!("{}: must be a list", self.path))?;
        values
            .iter()
            .enumerate()
            .map(|(at, value)| read(&Node { value, path: format!("{}/{at}", self.path) }))
            .collect()
    }

    /// The text of a scalar, the target of a reference (`!Ref`, `!GetAtt`), or the text of a `!Sub` as it is written.
    pub(super) fn text(&self) -> Result<String, String> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Tagged(tagged) => {
                let value = match &tagged.value {
                    // The text and a map of variables.
                    Value::Sequence(arguments) if tagged.tag == "Sub" => arguments.first().unwrap_or(&Value::Null),
                    value => value,
                };
                Node { value, path: self.path.clone() }.text()
            }
            Value::Null | Value::Sequence(_) | Value::Mapping(_) => Err(format!("{}: must be text", self.path)),
        }
    }

    /// The texts of a scalar or of a list of scalars.
    pub(super) fn texts(&self) -> Result<Vec<String>, String> {
        match self.value {
            Value::Sequence(_) => self.list(Node::text),
            _ => self.text().map(|text| vec![text]),
        }
    }

    pub(super) fn number(&self) -> Result<u64, String> {
        self.value.as_u64().ok_or_else(|| format!("{}: must be a whole number", self.path))
    }

    pub(super) fn integer(&self) -> Result<i64, String> {
        self.value.as_i64().ok_or_else(|| format!("{}: must be a whole number", self.path))
    }

    /// Like [`text`](Self::text), with the default of a parameter in place of a reference to it.
    pub(super) fn text_with(&self, parameters: &Parameters<'_>) -> Result<String, String> {
        let text = self.text()?;
        let is_reference = matches!(self.value, Value::Tagged(tagged) if tagged.tag == "Ref");
        let default = parameters.default(&text).filter(|_| is_reference);
        default.map_or(Ok(text), |default| default.text())
    }

    pub(super) fn is_true(&self) -> bool {
        self.value.as_bool() == Some(true)
    }

    /// Converts the value to JSON, with the texts of functions and the defaults of parameters.
    pub(super) fn json(&self, parameters: &Parameters<'_>) -> Result<Json, String> {
        Ok(match self.value {
            Value::Sequence(_) => Json::Array(self.list(|element| element.json(parameters))?),
            Value::Mapping(_) => {
                let entries = self.entries().into_iter();
                let entries = entries.map(|(name, value)| Ok((name, value.json(parameters)?)));
                Json::Object(entries.collect::<Result<_, String>>()?)
            }
            Value::Tagged(_) => Json::String(self.text_with(parameters)?),
            scalar => serde_json::to_value(scalar).map_err(|error| format!("{}: {error}", self.path))?,
        })
    }
}

/// The section `Parameters`.
pub(super) struct Parameters<'a>(Option<Node<'a>>);

impl<'a> Parameters<'a> {
    pub(super) fn of(template: &Node<'a>) -> Self {
        Self(template.get("Parameters"))
    }

    fn default(&self, name: &str) -> Option<Node<'a>> {
        self.0.as_ref()?.get(name)?.get("Default")
    }
}
