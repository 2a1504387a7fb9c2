//! How a repeated command is recognised, without a table of its own.

use std::fmt::{self, Display, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Which command a commit answers. Unique within its stream: it is made of the caller and the caller's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(String);

impl CommandId {
    /// The id of the command that `caller` sends under the idempotency key `key`: always the same.
    pub fn derived(caller: &str, key: &str) -> Self {
        Self(derived_id(&["command", caller, key]).to_string())
    }

    /// The id of a command that cannot be repeated, from random bytes.
    pub fn random(bytes: [u8; 16]) -> Self {
        Self(Builder::from_random_bytes(bytes).into_uuid().to_string())
    }
}

impl Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a command asked for: the number of the scheme, and a digest under that scheme.
///
/// A fingerprint is stored for ever. A change of what goes in is a new scheme, and stored ones keep their own rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Scheme 1: SHA-256 over the length-prefixed parts.
    pub fn of(parts: &[&str]) -> Self {
        let mut fingerprint = "1:".to_owned();
        for byte in digest(parts) {
            // Writing to a String cannot fail.
            let _ = write!(fingerprint, "{byte:02x}");
        }
        Self(fingerprint)
    }
}

impl Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name-based UUID: the same parts always give the same id, and no two lists of parts are confused.
///
/// Version 8, made of SHA-256 as in RFC 9562, appendix B.2.
pub fn derived_id(parts: &[&str]) -> Uuid {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest(parts)) {
        *to = from;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// SHA-256 over the parts, each behind its length in bytes, so that `["ab", "c"]` and `["a", "bc"]` differ.
fn digest(parts: &[&str]) -> impl IntoIterator<Item = u8> + use<> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_id_is_the_same_for_ever() {
        assert_eq!(derived_id(&["order", "alice", "key-1"]).to_string(), "88589b3d-6343-8e0f-8d74-91c92bb1b492");
        assert_eq!(derived_id(&[]).get_version_num(), 8);
    }

    #[test]
    fn parts_are_not_confused_with_their_neighbours() {
        assert_ne!(derived_id(&["ab", "c"]), derived_id(&["a", "bc"]));
        assert_ne!(CommandId::derived("ab", "c"), CommandId::derived("a", "bc"));
    }

    #[test]
    fn a_fingerprint_of_scheme_1_is_the_same_for_ever() {
        assert_eq!(
            Fingerprint::of(&["POST /orders", "{}"]).to_string(),
            "1:e1eb813b5af6b93abba83c5155e978f65ac5e6f118d650c4b9c5cd0251681cd9"
        );
    }
}
