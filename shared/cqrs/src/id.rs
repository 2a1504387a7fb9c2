//! Ids of aggregate instances.

use std::{
    cmp::Ordering,
    fmt::{self, Debug, Display},
    marker::PhantomData,
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::{Aggregate, Event, InvalidValue, StreamId, derived_id};

/// The id of an instance of `A`: a UUID other than nil, in its canonical spelling (lower case with dashes).
///
/// ```
/// # use cqrs::{Aggregate, Event, Id};
/// fn stream_of<A: Aggregate>(id: Id<A>) -> cqrs::StreamId {
///     id.stream()
/// }
/// ```
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "")]
pub struct Id<A> {
    uuid: Uuid,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Id<A> {
    /// Derives the id of the instance that `caller` creates under the idempotency key `key`. A repeat of the command
    /// gets the same id and therefore finds its own first commit.
    pub fn derived(caller: &str, key: &str) -> Self {
        Self::new(derived_id(&[A::Event::CATEGORY, caller, key]))
    }

    /// Builds the id of an instance that is created without an idempotency key.
    pub fn random(bytes: [u8; 16]) -> Self {
        Self::new(Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Returns the stream of this instance.
    pub fn stream(self) -> StreamId {
        StreamId::of::<A::Event>(self)
    }
}

impl<A> Id<A> {
    fn new(uuid: Uuid) -> Self {
        Self { uuid, aggregate: PhantomData }
    }
}

impl<A> FromStr for Id<A> {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Uuid::try_parse(text)
            .ok()
            .map(Self::new)
            .filter(|id| !id.uuid.is_nil() && id.to_string() == text)
            .ok_or_else(|| InvalidValue("must be a UUID in lower case with dashes".to_owned()))
    }
}

impl<A> TryFrom<String> for Id<A> {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl<A> From<Id<A>> for String {
    fn from(id: Id<A>) -> Self {
        id.to_string()
    }
}

impl<A> Display for Id<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self.uuid.as_hyphenated(), f)
    }
}

impl<A> Debug for Id<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

// Derived implementations would require the same traits of `A`.

impl<A> Clone for Id<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Id<A> {}

impl<A> PartialEq for Id<A> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<A> Eq for Id<A> {}

impl<A> PartialOrd for Id<A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<A> Ord for Id<A> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}
