//! The ids of customers and orders.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use cqrs::derived_id;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::{InvalidValue, Text};

/// The customer who owns an order: the `sub` claim of the customer's token, unchanged.
pub type CustomerId = Text<128>;

/// Identifies an order: a UUID other than nil, in its canonical spelling (lower case with dashes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderId(Uuid);

impl OrderId {
    /// Derives the id of the order that `caller` places under the idempotency key `key`. A repeated `PlaceOrder` gets
    /// the same id and therefore finds its own first commit.
    pub fn derived(caller: &str, key: &str) -> Self {
        Self(derived_id(&["order", caller, key]))
    }

    /// Builds the id of an order that is placed without an idempotency key.
    pub fn random(bytes: [u8; 16]) -> Self {
        Self(Builder::from_random_bytes(bytes).into_uuid())
    }
}

impl FromStr for OrderId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Uuid::try_parse(text)
            .ok()
            .map(Self)
            .filter(|id| !id.0.is_nil() && id.to_string() == text)
            .ok_or_else(|| InvalidValue("must be a UUID in lower case with dashes".to_owned()))
    }
}

impl TryFrom<String> for OrderId {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<OrderId> for String {
    fn from(id: OrderId) -> Self {
        id.to_string()
    }
}

impl Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_has_exactly_one_spelling() {
        assert!("7c9e6679-7425-40de-944b-e07fc1f90ae7".parse::<OrderId>().is_ok());
        for invalid in [
            "",
            "00000000-0000-0000-0000-000000000000",
            "7C9E6679-7425-40DE-944B-E07FC1F90AE7",
            "7c9e6679742540de944be07fc1f90ae7",
            "{7c9e6679-7425-40de-944b-e07fc1f90ae7}",
            "urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "7c9e6679-7425-40de-944b-e07fc1f90ae7 ",
        ] {
            assert!(invalid.parse::<OrderId>().is_err(), "{invalid}");
        }
    }

    #[test]
    fn callers_with_equal_keys_place_different_orders() {
        assert_eq!(OrderId::derived("alice", "1"), OrderId::derived("alice", "1"));
        assert_ne!(OrderId::derived("alice", "1"), OrderId::derived("bob", "1"));
    }
}
