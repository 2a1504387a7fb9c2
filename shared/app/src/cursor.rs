//! Cursors for the pages of a list.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::Problem;

const DIGEST_BYTES: usize = 8;

/// Encodes and decodes the cursors of one list.
///
/// A cursor is a position and a short digest over the position and the identity of the list. The digest detects a
/// cursor of another list. It is no protection against forgery, and none is needed: the partition comes from the
/// authorized path, so a forged cursor cannot read another partition.
#[derive(Debug)]
pub struct Cursor<'a> {
    /// The identity of the list: index, partition, caller and filter.
    pub list: &'a [&'a str],
}

impl Cursor<'_> {
    /// Encodes the cursor of the page after the row at this position.
    pub fn after(&self, position: &[String]) -> String {
        // A list of texts always serializes.
        let position = serde_json::to_vec(position).unwrap_or_default();
        BASE64_URL_SAFE_NO_PAD.encode([&self.digest(&position)[..], &position].concat())
    }

    /// Decodes the position of a cursor. Returns `None` if the cursor is damaged or belongs to another list.
    pub fn read(&self, cursor: &str) -> Option<Vec<String>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (digest, position) = bytes.split_first_chunk::<DIGEST_BYTES>()?;
        if self.digest(position) != *digest {
            return None;
        }
        let position: Vec<String> = serde_json::from_slice(position).ok()?;
        // DynamoDB rejects an empty key, and a sort key of more than 1024 bytes.
        position.iter().all(|value| (1..=1024).contains(&value.len())).then_some(position)
    }

    /// Decodes a cursor whose position is one value.
    ///
    /// # Errors
    /// 400 if the cursor is damaged or belongs to another list.
    pub(crate) fn read_one(&self, cursor: &str) -> Result<String, Problem> {
        let position = self.read(cursor).and_then(|position| <[String; 1]>::try_from(position).ok());
        position.map(|[value]| value).ok_or_else(Problem::invalid_cursor)
    }

    fn digest(&self, position: &[u8]) -> [u8; DIGEST_BYTES] {
        let position = String::from_utf8_lossy(position);
        let parts: Vec<&str> = self.list.iter().copied().chain([&*position]).collect();
        let mut digest = [0; DIGEST_BYTES];
        digest.iter_mut().zip(cqrs::digest(&parts)).for_each(|(byte, digest_byte)| *byte = digest_byte);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Cursor<'_> = Cursor { list: &["alice", "alice", "shipped"] };

    fn position() -> Vec<String> {
        ["2026-11-22T10:00:00.000000Z", "42"].map(str::to_owned).into()
    }

    #[test]
    fn a_cursor_decodes_to_its_position() {
        assert_eq!(LIST.read(&LIST.after(&position())), Some(position()));
    }

    #[test]
    fn a_forged_position_that_cannot_be_a_key_is_rejected() {
        for value in [String::new(), "x".repeat(1025)] {
            assert_eq!(LIST.read(&LIST.after(&[value])), None);
        }
    }

    #[test]
    fn a_damaged_cursor_or_one_of_another_list_is_rejected() {
        let cursor = LIST.after(&position());
        assert_eq!(Cursor { list: &["bob", "alice", "shipped"] }.read(&cursor), None);
        assert_eq!(Cursor { list: &["alice", "alice", ""] }.read(&cursor), None);
        for damaged in ["", "x", "AAAA", "AAAAAAAAAAAAAAAA", &cursor[1..], "€", &format!("{cursor}=")] {
            assert_eq!(LIST.read(damaged), None, "{damaged}");
        }
    }
}
