//! Streams: the ordered commits of one aggregate instance.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::Event;

/// The name of a stream: the category of its events, `#`, and the key of the aggregate instance, as in `order#7c9e…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId {
    name: String,
    category_length: usize,
}

impl StreamId {
    /// Returns the stream of the instance `key`, whose events are of type `E`.
    pub fn of<E: Event>(key: impl Display) -> Self {
        Self { name: format!("{}#{key}", E::CATEGORY), category_length: E::CATEGORY.len() }
    }

    pub fn category(&self) -> &str {
        self.name.get(..self.category_length).unwrap_or_default()
    }

    pub fn key(&self) -> &str {
        self.name.get(self.category_length + 1..).unwrap_or_default()
    }

    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A stream name without a category or without a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a stream name must be <category>#<key>")]
pub struct InvalidStreamId;

impl TryFrom<String> for StreamId {
    type Error = InvalidStreamId;

    fn try_from(name: String) -> Result<Self, InvalidStreamId> {
        match name.split_once('#') {
            Some((category, key)) if !category.is_empty() && !key.is_empty() => {
                Ok(Self { category_length: category.len(), name })
            }
            _ => Err(InvalidStreamId),
        }
    }
}

impl From<StreamId> for String {
    fn from(stream: StreamId) -> Self {
        stream.name
    }
}

/// A position in a stream: commit n has version n, and a stream of n commits is at version n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// The version of a stream without commits.
    pub const NONE: Self = Self(0);
    pub const FIRST: Self = Self(1);

    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_is_split_at_its_first_hash() {
        let stream = StreamId::try_from("loan#a#b".to_owned()).unwrap();
        assert_eq!((stream.category(), stream.key()), ("loan", "a#b"));
    }

    #[test]
    fn a_stream_name_without_category_or_key_is_invalid() {
        for name in ["", "loan", "#1", "loan#"] {
            assert_eq!(StreamId::try_from(name.to_owned()), Err(InvalidStreamId), "{name}");
        }
    }
}
