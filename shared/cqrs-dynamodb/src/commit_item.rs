//! The item of a commit, its hash, and the checks of the hash chain.
//!
//! | attribute | value |
//! |---|---|
//! | `stream` (partition key) | `order#7c9e…` |
//! | `version` (sort key) | 1, 2, 3 … without gaps |
//! | `command_id`, `fingerprint` | identify the command and its content |
//! | `recorded_at`, `caller`, `trace` | time, caller and trace of the command |
//! | `events` | a list of `{type, schema, data}` |
//! | `previous` | the `hash` of the previous commit, 32 bytes; missing in the first |
//! | `hash` | SHA-256 of all other attributes in their [canonical form](crate::canonical), 32 bytes |
//!
//! The hash covers attributes that this code does not know, too. So older code can check a commit of newer code.

use cqrs::{BrokenChain, Commit, CommitHash, Event, Position, StoredCommit, StreamId, Version};
use serde_dynamo::{from_item, to_item};

use crate::{
    StoreError,
    canonical::canonical,
    item::{Item, binary, number},
};

pub(crate) const STREAM: &str = "stream";
pub(crate) const VERSION: &str = "version";
pub(crate) const RECORDED_AT: &str = "recorded_at";
pub(crate) const HASH: &str = "hash";

/// Returns the hash of the commit in `item`.
pub fn hash_of(item: &Item) -> CommitHash {
    CommitHash::of(&canonical(item, HASH))
}

/// Encodes a commit, with its hash.
///
/// # Errors
/// [`StoreError::Bug`] if the commit does not serialize.
pub fn encode(commit: &StoredCommit) -> Result<Item, StoreError> {
    let mut item: Item = to_item(commit).map_err(StoreError::bug)?;
    seal(&mut item);
    Ok(item)
}

/// Sets the hash of the commit in `item`.
pub fn seal(item: &mut Item) {
    let hash = hash_of(item);
    item.insert(HASH.to_owned(), binary(hash.as_bytes()));
}

/// Decodes a commit and checks its hash.
///
/// # Errors
/// The defect, without any stored data.
pub fn decode(item: Item) -> Result<StoredCommit, &'static str> {
    let hash = hash_of(&item);
    let commit: StoredCommit = from_item(item).map_err(|_| "the item is not a commit")?;
    if commit.hash == Some(hash) { Ok(commit) } else { Err("the commit was changed") }
}

/// Decodes the commits after `position` from `items`, up to the first one that is missing, malformed, changed or
/// replaced. `known` are positions that views have recorded. They identify the replaced one of two commits.
pub(crate) fn decode_chain(
    stream: &StreamId,
    mut position: Position,
    items: Vec<Item>,
    known: &[Position],
) -> (Vec<StoredCommit>, Option<StoreError>) {
    let mut commits: Vec<StoredCommit> = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    while let Some(item) = items.next() {
        let version = position.version.next();
        let corrupt = |version, reason: &str| {
            Some(StoreError::Corrupt { stream: stream.clone(), version, reason: reason.to_owned() })
        };
        // A missing version is reported as such, whatever the next item contains.
        if item.get(VERSION) != Some(&number(version)) {
            return (commits, corrupt(version, &BrokenChain::VersionMissing.to_string()));
        }
        let commit = match decode(item) {
            Ok(commit) => commit,
            Err(reason) => return (commits, corrupt(version, reason)),
        };
        position = match position.after(&commit) {
            Ok(position) => position,
            Err(_) => {
                let (version, reason) = replaced(position, &commit, items.next(), known);
                commits.retain(|commit| commit.version < version);
                return (commits, corrupt(version, reason));
            }
        };
        commits.push(commit);
    }
    (commits, None)
}

/// Returns the version that was replaced, where `commit` does not continue its predecessor at `position`, and `next` is
/// the item after it. If a view has recorded the position of `commit`, or `next` continues it, the predecessor was
/// replaced.
fn replaced(
    position: Position,
    commit: &StoredCommit,
    next: Option<Item>,
    known: &[Position],
) -> (Version, &'static str) {
    const REPLACED: &str = "the commit was replaced";
    let is_continued = next.map(|next| decode(next).is_ok_and(|next| commit.position().after(&next).is_ok()));
    if position == Position::START || known.contains(&position) || is_continued == Some(false) {
        (commit.version, REPLACED)
    } else if known.contains(&commit.position()) || is_continued == Some(true) {
        (position.version, REPLACED)
    } else {
        (commit.version, "the commit or its predecessor was replaced")
    }
}

/// Decodes the events of a commit. A commit without events is corrupt.
pub(crate) fn decode_events<E: Event>(commit: StoredCommit) -> Result<Commit<E>, StoreError> {
    let (stream, version) = (commit.stream.clone(), commit.version);
    match commit.decode() {
        Ok(commit) if commit.events.is_empty() => {
            Err(StoreError::Corrupt { stream, version, reason: "the commit has no events".to_owned() })
        }
        Ok(commit) => Ok(commit),
        Err(error) => Err(StoreError::Corrupt { stream, version, reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use cqrs::{CommandId, EventRecord, Fingerprint};
    use serde_json::json;

    use super::*;
    use crate::{
        item::text,
        sample::{chain, filled},
    };

    fn items(versions: impl IntoIterator<Item = u64>) -> Vec<Item> {
        let commits = chain(versions.into_iter().map(|version| filled(version, 1)).collect());
        commits.iter().map(|commit| encode(commit).unwrap()).collect()
    }

    fn read(items: Vec<Item>) -> (Vec<u64>, Option<String>) {
        let (commits, error) = decode_chain(&filled(1, 1).stream, Position::START, items, &[]);
        (commits.iter().map(|commit| commit.version.get()).collect(), error.map(|error| error.to_string()))
    }

    /// Replaces a commit by another one with a correct hash.
    fn replace(item: &mut Item) {
        item.insert("caller".to_owned(), text("mallory"));
        seal(item);
    }

    fn corrupt(version: u64, reason: &str) -> Option<String> {
        Some(format!("stream jar#a is corrupt at version {version}: {reason}"))
    }

    #[test]
    fn the_hash_of_a_commit_never_changes() {
        let commit = Commit {
            stream: StreamId::try_from("order#1".to_owned()).unwrap(),
            version: Version::new(2),
            command_id: CommandId::derived("alice", "key"),
            fingerprint: Fingerprint::of(&["content"]),
            recorded_at: "2026-11-27T10:00:00.123456Z".parse().unwrap(),
            caller: "alice".to_owned(),
            trace: None,
            previous: Some(CommitHash::of("the first commit")),
            hash: None,
            events: vec![EventRecord {
                event_type: "order.shipped".to_owned(),
                schema: 1,
                data: json!({ "weight": 2.50, "carrier": "Ü \"DHL\"", "parcels": [1, 2], "note": null }),
            }],
        };
        let item = encode(&commit).unwrap();
        // Python's json.dumps and hashlib.sha256 give the same text and the same hash.
        let canonical = concat!(
            r#"{"caller":"alice","command_id":"033db4d3-7b93-8d88-8bd6-5a21499dbc30","#,
            r#""events":[{"data":{"carrier":"Ü \"DHL\"","note":null,"parcels":[1,2],"weight":2.5},"#,
            r#""schema":1,"type":"order.shipped"}],"#,
            r#""fingerprint":"2:aa90a67f2cd83fe7a38164ea5edba1565e933a6dbb23c74b8c9bfa3190c3b151","#,
            r#""previous":"fd621c85aacf7dbd308d42510afd6d8948a3ea91dbf942f25e58104145f08da2","#,
            r#""recorded_at":"2026-11-27T10:00:00.123456Z","stream":"order#1","version":2}"#,
        );
        assert_eq!(super::canonical(&item, HASH), canonical);
        let hash = "54211f47c36807c2908ee9b6d0d3a11c79c972625f3b25c4143d4238838a5171";
        assert_eq!(decode(item).unwrap().hash.unwrap().to_string(), hash);
    }

    #[test]
    fn an_unknown_attribute_is_covered_by_the_hash() {
        let mut item = items([1]).remove(0);
        item.insert("note".to_owned(), text("added"));
        assert_eq!(decode(item.clone()).unwrap_err(), "the commit was changed");
        seal(&mut item);
        assert_eq!(decode(item.clone()).unwrap().hash, Some(hash_of(&item)));
    }

    #[test]
    fn a_complete_chain_is_read_to_the_end() {
        assert_eq!(read(items([1, 2, 3])), (vec![1, 2, 3], None));
        assert_eq!(read(Vec::new()), (vec![], None));
        let mut rest = items([1, 2, 3]);
        let first = decode(rest.remove(0)).unwrap();
        assert_eq!(decode_chain(&first.stream, first.position(), rest, &[]).0.len(), 2);
    }

    #[test]
    fn reading_stops_before_a_missing_a_malformed_and_a_changed_commit() {
        let mut missing = items([1, 2, 3]);
        missing.remove(1);
        assert_eq!(read(missing), (vec![1], corrupt(2, "a version is missing")));
        let mut malformed = items([1, 2, 3]);
        malformed[1].remove("events");
        assert_eq!(read(malformed), (vec![1], corrupt(2, "the item is not a commit")));
        let mut changed = items([1, 2, 3]);
        changed[1].insert("caller".to_owned(), text("mallory"));
        assert_eq!(read(changed), (vec![1], corrupt(2, "the commit was changed")));
        let mut without_hash = items([1, 2]);
        without_hash[1].remove(HASH);
        assert_eq!(read(without_hash), (vec![1], corrupt(2, "the commit was changed")));
    }

    #[test]
    fn reading_stops_before_a_replaced_commit() {
        for replaced in 1..=3 {
            let mut items = items(1..=4);
            replace(&mut items[replaced - 1]);
            let expected = (1..replaced as u64).collect();
            let reason = match replaced {
                3 => corrupt(4, "the commit or its predecessor was replaced"),
                _ => corrupt(replaced as u64, "the commit was replaced"),
            };
            let expected = if replaced == 3 { vec![1, 2, 3] } else { expected };
            assert_eq!(read(items), (expected, reason), "{replaced}");
        }
        let mut with_a_view = items(1..=2);
        let known = decode(with_a_view[1].clone()).unwrap().position();
        replace(&mut with_a_view[0]);
        let (commits, error) = decode_chain(&filled(1, 1).stream, Position::START, with_a_view, &[known]);
        let error = error.map(|error| error.to_string());
        assert_eq!((commits.len(), error), (0, corrupt(1, "the commit was replaced")));
        let mut begins_elsewhere = items([1, 2, 3]);
        begins_elsewhere[0].insert("previous".to_owned(), binary(&[7; 32]));
        replace(&mut begins_elsewhere[0]);
        assert_eq!(read(begins_elsewhere), (vec![], corrupt(1, "the commit was replaced")));
    }
}
