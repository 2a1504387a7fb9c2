//! Command ids and fingerprints: they identify a repeated command without a separate table.

use std::fmt::{self, Display, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Identifies a command within its stream. Derived from the caller and the idempotency key, or random without a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(String);

impl CommandId {
    /// Derives the id of the command that `caller` sends under the idempotency key `key`. A repeat gets the same id.
    pub fn derived(caller: &str, key: &str) -> Self {
        Self(derived_id(&["command", caller, key]).to_string())
    }

    /// Derives the id of a command that a process sends: the command `number` of its reaction to `trigger`. No caller and
    /// key give the same id.
    pub fn of_process(process: &str, trigger: &str, number: usize) -> Self {
        Self(derived_id(&["process", process, trigger, &number.to_string()]).to_string())
    }

    /// Builds an id for a command without an idempotency key. A repeat of such a command is a new command.
    pub fn random(bytes: [u8; 16]) -> Self {
        Self(Builder::from_random_bytes(bytes).into_uuid().to_string())
    }
}

impl Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest of a command's request, with the number of its scheme: `2:<hex>`.
///
/// Fingerprints are stored permanently. A change of the input needs a new scheme number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Computes a fingerprint of scheme 2: SHA-256 over the length-prefixed parts.
    pub fn of(parts: &[&str]) -> Self {
        Self(format!("2:{}", hex(&digest(parts))))
    }
}

impl Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Derives a name-based UUID. Equal lists of parts give equal ids, and different lists give different ids.
///
/// The UUID has version 8 and is made with SHA-256, as in RFC 9562, appendix B.2.
pub fn derived_id(parts: &[&str]) -> Uuid {
    let mut bytes = [0; 16];
    for (byte, digest_byte) in bytes.iter_mut().zip(digest(parts)) {
        *byte = digest_byte;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// Formats bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// Hashes the parts with SHA-256, each prefixed with its length in bytes: `["ab", "c"]` and `["a", "bc"]` differ.
pub fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_never_change() {
        assert_eq!(derived_id(&["loan", "alice", "key-1"]).to_string(), "79ae8b76-1651-8d4a-971f-fe8d66f1ccd2");
        assert_eq!(derived_id(&[]).get_version_num(), 8);
    }

    #[test]
    fn ids_of_commands_of_processes_never_change_and_have_a_domain_of_their_own() {
        let id = CommandId::of_process("reminders", "loan#7/1/0", 0);
        assert_eq!(id.to_string(), "1b58aa9f-c06f-8383-8137-718892831dd5");
        assert_ne!(id, CommandId::derived("reminders", "loan#7/1/0"));
        assert_ne!(id, CommandId::of_process("reminders", "loan#7/1/0", 1));
    }

    #[test]
    fn moving_a_boundary_between_parts_changes_the_id() {
        assert_ne!(derived_id(&["ab", "c"]), derived_id(&["a", "bc"]));
        assert_ne!(CommandId::derived("ab", "c"), CommandId::derived("a", "bc"));
    }

    #[test]
    fn fingerprints_of_scheme_2_never_change() {
        assert_eq!(
            Fingerprint::of(&["loan#7", "{}"]).to_string(),
            "2:5203bde99da537c0d4f37e1b6f7cd9a1c2a8e382a96a7724d42e38e4ed0ef751"
        );
    }
}
