//! Cursors for the pages of a list.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

const DIGEST_BYTES: usize = 8;

/// Encodes and decodes the cursors of one list.
///
/// A cursor is a sort key and a short digest over the sort key and the identity of the list. The digest detects a
/// cursor of another list. It is no protection against forgery, and none is needed: the partition comes from the
/// authorized path, so a forged cursor cannot read another partition.
#[derive(Debug)]
pub struct Cursor<'a> {
    /// The identity of the list: customer, caller and filter.
    pub list: &'a [&'a str],
}

impl Cursor<'_> {
    /// Encodes the cursor of the page after the row with this sort key.
    pub fn after(&self, sort_key: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode([&self.digest(sort_key)[..], sort_key.as_bytes()].concat())
    }

    /// Decodes the sort key of a cursor. Returns `None` if the cursor is damaged or belongs to another list.
    pub fn read(&self, cursor: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (digest, sort_key) = bytes.split_first_chunk::<DIGEST_BYTES>()?;
        let sort_key = std::str::from_utf8(sort_key).ok()?;
        (self.digest(sort_key) == *digest).then(|| sort_key.to_owned())
    }

    fn digest(&self, sort_key: &str) -> [u8; DIGEST_BYTES] {
        let parts: Vec<&str> = self.list.iter().copied().chain([sort_key]).collect();
        let mut digest = [0; DIGEST_BYTES];
        digest.iter_mut().zip(cqrs::digest(&parts)).for_each(|(byte, digest_byte)| *byte = digest_byte);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Cursor<'_> = Cursor { list: &["alice", "alice", "shipped"] };

    #[test]
    fn a_cursor_decodes_to_its_sort_key() {
        let cursor = LIST.after("2026-11-22T10:00:00.000000Z#42");
        assert_eq!(LIST.read(&cursor).as_deref(), Some("2026-11-22T10:00:00.000000Z#42"));
    }

    #[test]
    fn a_damaged_cursor_or_one_of_another_list_is_rejected() {
        let cursor = LIST.after("2026-11-22T10:00:00.000000Z#42");
        assert_eq!(Cursor { list: &["bob", "alice", "shipped"] }.read(&cursor), None);
        assert_eq!(Cursor { list: &["alice", "alice", ""] }.read(&cursor), None);
        for damaged in ["", "x", "AAAA", "AAAAAAAAAAAAAAAA", &cursor[1..], "€", &format!("{cursor}=")] {
            assert_eq!(LIST.read(damaged), None, "{damaged}");
        }
    }
}
