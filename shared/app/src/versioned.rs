//! Views as the API returns them.

use cqrs::Version;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};

/// A view with its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versioned<V> {
    #[serde(flatten)]
    pub view: V,
    /// The last folded commit.
    pub version: Version,
    /// The stream has a later commit that cannot be folded. The view is correct as of `version`. The row of an index
    /// has the attribute `parked_in` in its place.
    #[serde(default, alias = "parked_in", deserialize_with = "exists", skip_serializing_if = "std::ops::Not::not")]
    pub behind: bool,
}

/// Deserializes any value as `true`: the attribute exists.
fn exists<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}
