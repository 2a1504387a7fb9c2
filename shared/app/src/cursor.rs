//! Where a list goes on.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

const DIGEST: usize = 8;

/// Writes and reads the cursors of one list, for one caller and one filter.
///
/// A cursor is a sort key and a short digest over it and all that belongs to the list. It catches mistakes, not
/// forgers, and need not: the partition that is read comes from the authorised path, so no cursor leads out of it.
#[derive(Debug)]
pub struct Cursor<'a> {
    /// What belongs to the list: whose it is, who reads it, what is left out.
    pub list: &'a [&'a str],
}

impl Cursor<'_> {
    /// The cursor that goes on after the row with this sort key.
    pub fn after(&self, sort_key: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode([&self.digest(sort_key)[..], sort_key.as_bytes()].concat())
    }

    /// The sort key in a cursor; `None` if it is damaged or of another list.
    pub fn read(&self, cursor: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (digest, sort_key) = bytes.split_first_chunk::<DIGEST>()?;
        let sort_key = std::str::from_utf8(sort_key).ok()?;
        (self.digest(sort_key) == *digest).then(|| sort_key.to_owned())
    }

    fn digest(&self, sort_key: &str) -> [u8; DIGEST] {
        let mut hash = Sha256::new();
        for part in self.list.iter().chain([&sort_key]) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut digest = [0; DIGEST];
        digest.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Cursor<'_> = Cursor { list: &["alice", "alice", "shipped"] };

    #[test]
    fn a_cursor_leads_to_where_it_was_made() {
        let cursor = MINE.after("2026-11-22T10:00:00.000000Z#42");
        assert_eq!(MINE.read(&cursor).as_deref(), Some("2026-11-22T10:00:00.000000Z#42"));
    }

    #[test]
    fn a_cursor_of_another_list_or_a_damaged_one_leads_nowhere() {
        let cursor = MINE.after("2026-11-22T10:00:00.000000Z#42");
        assert_eq!(Cursor { list: &["bob", "alice", "shipped"] }.read(&cursor), None);
        assert_eq!(Cursor { list: &["alice", "alice", ""] }.read(&cursor), None);
        for damaged in ["", "x", "AAAA", "AAAAAAAAAAAAAAAA", &cursor[1..], "€", &format!("{cursor}=")] {
            assert_eq!(MINE.read(damaged), None, "{damaged}");
        }
    }
}
