//! Bounded whole numbers.

use serde::{Deserialize, Serialize};

use crate::InvalidValue;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Bounded<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Bounded<MIN, MAX> {
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> TryFrom<u64> for Bounded<MIN, MAX> {
    type Error = InvalidValue;

    fn try_from(number: u64) -> Result<Self, InvalidValue> {
        if (MIN..=MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidValue(format!("must be a whole number from {MIN} to {MAX}")))
        }
    }
}

impl<const MIN: u64, const MAX: u64> From<Bounded<MIN, MAX>> for u64 {
    fn from(number: Bounded<MIN, MAX>) -> Self {
        number.0
    }
}
