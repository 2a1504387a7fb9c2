//! A digest over the heads of all streams, for an anchor that is kept outside of the system.

use std::fmt::{self, Display};

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::{CommitHash, identity::hex};

/// The number of lanes of 16 bits.
const LANES: usize = 1024;
/// The number of lanes in one SHA-256 hash.
const LANES_PER_HASH: usize = 16;

/// A digest over the heads of streams, which does not depend on their order: LtHash with 1024 lanes of 16 bits (Lewi et
/// al., "Securing Update Propagation with Homomorphic Hashing", 2019).
///
/// Equal digests mean equal histories, because the hash of a head covers the whole stream. Comparing a kept digest
/// reveals a lost or rewritten tail, which the hash chain alone does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadsDigest {
    lanes: Vec<u16>,
    /// The number of heads.
    pub streams: u64,
}

impl Default for HeadsDigest {
    fn default() -> Self {
        Self { lanes: vec![0; LANES], streams: 0 }
    }
}

impl HeadsDigest {
    /// Adds the head of one stream.
    pub fn add_head(&mut self, head: &CommitHash) {
        self.streams += 1;
        for (counter, lanes) in (0_u32..).zip(self.lanes.chunks_mut(LANES_PER_HASH)) {
            let block = Sha256::new().chain_update(head.as_bytes()).chain_update(counter.to_be_bytes()).finalize();
            for (lane, bytes) in lanes.iter_mut().zip(block.chunks_exact(2)) {
                let bytes = bytes.try_into().unwrap_or_default();
                *lane = lane.wrapping_add(u16::from_be_bytes(bytes));
            }
        }
    }

    /// Adds the heads of another digest.
    pub fn add(&mut self, other: &Self) {
        self.streams += other.streams;
        for (lane, other) in self.lanes.iter_mut().zip(&other.lanes) {
            *lane = lane.wrapping_add(*other);
        }
    }
}

/// Formats the digest as 64 hexadecimal digits.
impl Display for HeadsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.lanes.iter().flat_map(|lane| lane.to_be_bytes()).collect();
        f.write_str(&hex(&Sha256::digest(bytes)))
    }
}

impl Serialize for HeadsDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(heads: &[&str]) -> HeadsDigest {
        let mut digest = HeadsDigest::default();
        heads.iter().for_each(|head| digest.add_head(&CommitHash::of(head)));
        digest
    }

    #[test]
    fn a_digest_depends_on_the_heads_and_not_on_their_order() {
        assert_eq!(digest(&["a", "b", "c"]), digest(&["c", "a", "b"]));
        assert_ne!(digest(&["a", "b"]), digest(&["a", "b", "c"]));
        assert_ne!(digest(&["a", "b"]), digest(&["a", "a"]));
        let mut sum = digest(&["a"]);
        sum.add(&digest(&["b", "c"]));
        assert_eq!(sum, digest(&["a", "b", "c"]));
    }

    #[test]
    fn digests_never_change() {
        assert_eq!(
            HeadsDigest::default().to_string(),
            "e5a00aa9991ac8a5ee3109844d84a55583bd20572ad3ffcd42792f3c36b183ad"
        );
        assert_eq!(digest(&["a", "b"]).to_string(), "5721cdf93483e340db2a4ff5d946825f09cbf8013e9a1a5cda7a80e83e816233");
    }
}
