//! Views as the API returns them.

use cqrs::Version;
use serde::Serialize;

/// A view with its version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Versioned<V> {
    #[serde(flatten)]
    pub view: V,
    /// The last folded commit.
    pub version: Version,
    /// The stream has a later commit that cannot be folded. The view is correct as of `version`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub behind: bool,
}
