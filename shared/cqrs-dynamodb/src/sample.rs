//! A small domain for the unit tests of this crate: jars that are filled, and sealed.

use cqrs::{
    CommandId, Commit, Counters, Event, EventRecord, Fingerprint, Projection, Recorded, Rollup, RowKey, Rows,
    StoredCommit, StreamId, Tally, Version,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::commit_item;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum SampleEvent {
    #[serde(rename = "jar.filled")]
    Filled { by: u32 },
    #[serde(rename = "jar.sealed")]
    Sealed {},
}

impl Event for SampleEvent {
    const CATEGORY: &'static str = "jar";
    const SCHEMAS: &'static [(&'static str, u32)] = &[("jar.filled", 1), ("jar.sealed", 1)];
}

/// The content of a jar. A sealed jar has no view, and a jar that is filled beyond `u32::MAX` panics.
pub(crate) struct Levels;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LevelView {
    pub(crate) content: u32,
}

impl Projection for Levels {
    type Event = SampleEvent;
    type View = LevelView;

    const NAME: &'static str = "levels";
    const KEY: &'static str = "jar_id";
    const SCHEMA: u32 = 2;

    #[allow(clippy::expect_used, reason = "the tests need a projection that panics")]
    fn evolve(view: Option<LevelView>, recorded: Recorded<'_, SampleEvent>) -> Option<LevelView> {
        match recorded.event {
            SampleEvent::Filled { by } => {
                let content = view.map_or(0, |view| view.content);
                Some(LevelView { content: content.checked_add(*by).expect("the jar overflows") })
            }
            SampleEvent::Sealed {} => None,
        }
    }
}

/// The total content of all jars.
pub(crate) struct Content;

impl Rollup for Content {
    type Projection = Levels;

    const NAME: &'static str = "content";

    fn contribution(view: &LevelView) -> Counters {
        Counters::default().with("all", "content", view.content.into())
    }
}

/// The number of fillings. A filling by more than 100,000 is counted in one row for each unit beyond.
pub(crate) struct Fillings;

impl Tally for Fillings {
    type Projection = Levels;

    const NAME: &'static str = "fillings";

    fn count(recorded: Recorded<'_, SampleEvent>) -> Counters {
        let mut counters = Counters::default().with("all", "fillings", 1);
        if let SampleEvent::Filled { by: by @ 100_001..=101_000 } = recorded.event {
            counters = Counters::default();
            (100_000..*by).for_each(|unit| counters.add(&unit.to_string(), "fillings", 1));
        }
        counters
    }
}

/// The jars by content. An empty jar has a row without a partition, which is invalid.
pub(crate) struct LevelsByContent;

impl Rows for LevelsByContent {
    type Projection = Levels;
    type Row = LevelView;

    const NAME: &'static str = "levels-by-content";

    fn rows(view: &LevelView) -> Vec<(RowKey, LevelView)> {
        let partition = if view.content == 0 { String::new() } else { view.content.to_string() };
        vec![(RowKey::new(partition, "a"), view.clone())]
    }
}

pub(crate) fn stream() -> StreamId {
    StreamId::of::<SampleEvent>("a")
}

pub(crate) fn filled(version: u64, by: u32) -> StoredCommit {
    stored(version, "jar.filled", json!({ "by": by }))
}

pub(crate) fn sealed(version: u64) -> StoredCommit {
    stored(version, "jar.sealed", json!({}))
}

/// A commit with an event type that this code does not know.
pub(crate) fn unknown(version: u64) -> StoredCommit {
    stored(version, "jar.painted", json!({}))
}

/// Links the commits to a hash chain.
pub(crate) fn chain(commits: Vec<StoredCommit>) -> Vec<StoredCommit> {
    let mut previous = None;
    let link = |mut commit: StoredCommit| {
        commit.previous = previous;
        commit = commit_item::decode(commit_item::encode(&commit).unwrap()).unwrap();
        previous = commit.hash;
        commit
    };
    commits.into_iter().map(link).collect()
}

fn stored(version: u64, event_type: &str, data: serde_json::Value) -> StoredCommit {
    Commit {
        stream: stream(),
        version: Version::new(version),
        command_id: CommandId::derived("alice", &version.to_string()),
        fingerprint: Fingerprint::of(&[event_type]),
        recorded_at: Timestamp::UNIX_EPOCH,
        caller: "alice".to_owned(),
        trace: None,
        previous: None,
        hash: None,
        events: vec![EventRecord { event_type: event_type.to_owned(), schema: 1, data }],
    }
}
