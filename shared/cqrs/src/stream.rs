//! Streams: where the commits of one aggregate instance stand, and in which order.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::Event;

/// The name of a stream: the category of its events, `#`, and the key of the instance, as in `order#7c9e…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId {
    name: String,
    category_length: usize,
}

impl StreamId {
    /// The stream in which the instance `key` keeps its events of type `E`.
    pub fn of<E: Event>(key: impl Display) -> Self {
        Self { name: format!("{}#{key}", E::CATEGORY), category_length: E::CATEGORY.len() }
    }

    /// What kind of aggregate this is a stream of.
    pub fn category(&self) -> &str {
        self.name.get(..self.category_length).unwrap_or_default()
    }

    /// Which instance this is a stream of.
    pub fn key(&self) -> &str {
        self.name.get(self.category_length + 1..).unwrap_or_default()
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A text that is not the name of a stream: it has no category or no key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the name of a stream is <category>#<key>")]
pub struct NotAStream;

impl TryFrom<String> for StreamId {
    type Error = NotAStream;

    fn try_from(name: String) -> Result<Self, NotAStream> {
        match name.split_once('#') {
            Some((category, key)) if !category.is_empty() && !key.is_empty() => {
                Ok(Self { category_length: category.len(), name })
            }
            _ => Err(NotAStream),
        }
    }
}

impl From<StreamId> for String {
    fn from(stream: StreamId) -> Self {
        stream.name
    }
}

/// The number of commits in a stream; commit n has version n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// The version of a stream without commits.
    pub const NONE: Self = Self(0);
    /// The version of a stream's first commit.
    pub const FIRST: Self = Self(1);

    /// The version after `number` commits.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The version of the commit that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How many commits this is.
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
    fn a_stream_name_is_taken_apart_at_its_first_hash() {
        let stream = StreamId::try_from("order#a#b".to_owned()).unwrap();
        assert_eq!((stream.category(), stream.key()), ("order", "a#b"));
    }

    #[test]
    fn a_name_without_category_or_key_is_no_stream() {
        for name in ["", "order", "#1", "order#"] {
            assert_eq!(StreamId::try_from(name.to_owned()), Err(NotAStream), "{name}");
        }
    }
}
