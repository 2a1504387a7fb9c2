//! The test aggregate: a jar that is filled, emptied, and finally smashed.

use cqrs::{Aggregate, Counters, Event, Projection, PublicEvent, Publication, Recorded, Rollup};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize)]
pub enum JarCommand {
    Put(u64),
    Take(u64),
    TakeBefore { amount: u64, due: Timestamp },
    Look,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum JarEvent {
    #[serde(rename = "jar.filled")]
    Filled {
        amount: u64,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    #[serde(rename = "jar.emptied")]
    Emptied { amount: u64 },
    #[serde(rename = "jar.smashed")]
    Smashed {},
}

/// The fold of levels panics at this amount.
pub const PANIC_AMOUNT: u64 = 666;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JarRejection {
    NotThatMuch,
    TooLate,
}

impl From<JarRejection> for &'static str {
    fn from(rejection: JarRejection) -> Self {
        match rejection {
            JarRejection::NotThatMuch => "not-that-much",
            JarRejection::TooLate => "too-late",
        }
    }
}

#[derive(Debug, Default, PartialEq)]
pub struct Jar {
    pub level: u64,
}

impl Event for JarEvent {
    const CATEGORY: &'static str = "jar";
    const SCHEMAS: &'static [(&'static str, u32)] = &[("jar.filled", 1), ("jar.emptied", 1), ("jar.smashed", 1)];
}

impl Aggregate for Jar {
    type Key = String;
    type Command = JarCommand;
    type Event = JarEvent;
    type Rejection = JarRejection;

    fn decide(&self, command: JarCommand, at: Timestamp) -> Result<Vec<JarEvent>, JarRejection> {
        match command {
            JarCommand::Put(amount) => Ok(vec![filled(amount)]),
            JarCommand::Take(amount) if amount > self.level => Err(JarRejection::NotThatMuch),
            JarCommand::Take(amount) => Ok(vec![JarEvent::Emptied { amount }]),
            JarCommand::TakeBefore { due, .. } if due < at => Err(JarRejection::TooLate),
            JarCommand::TakeBefore { amount, .. } => self.decide(JarCommand::Take(amount), at),
            JarCommand::Look => Ok(Vec::new()),
        }
    }

    fn evolve(self, event: &JarEvent) -> Self {
        match event {
            JarEvent::Filled { amount, .. } => Self { level: self.level + amount },
            JarEvent::Emptied { amount } => Self { level: self.level - amount },
            JarEvent::Smashed {} => self,
        }
    }
}

pub fn filled(amount: u64) -> JarEvent {
    JarEvent::Filled { amount, note: String::new() }
}

/// The level and the notes of a jar. A smashed jar has no view. Schema version 2 counts in dozens.
pub struct JarLevels<const SCHEMA: u32>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JarLevel {
    pub jar: String,
    pub level: u64,
    #[serde(default)]
    pub note: String,
}

impl<const SCHEMA: u32> Projection for JarLevels<SCHEMA> {
    type Event = JarEvent;
    type View = JarLevel;

    const NAME: &'static str = "levels";
    const KEY: &'static str = "jar";
    const SCHEMA: u32 = SCHEMA;

    fn evolve(view: Option<JarLevel>, recorded: Recorded<'_, JarEvent>) -> Option<JarLevel> {
        let unit = if SCHEMA == 1 { 1 } else { 12 };
        let mut view =
            view.unwrap_or_else(|| JarLevel { jar: recorded.stream.key().to_owned(), level: 0, note: String::new() });
        match recorded.event {
            JarEvent::Filled { amount, .. } if *amount == PANIC_AMOUNT => panic!("the amount {PANIC_AMOUNT}"),
            JarEvent::Filled { amount, note } => {
                view.level += amount / unit;
                view.note += note;
                Some(view)
            }
            JarEvent::Emptied { amount } => Some(JarLevel { level: view.level - amount / unit, ..view }),
            JarEvent::Smashed {} => None,
        }
    }
}

/// The number of jars, and their total content.
pub struct Inventory<const SCHEMA: u32>;

impl<const SCHEMA: u32> Rollup for Inventory<SCHEMA> {
    type Projection = JarLevels<SCHEMA>;

    const NAME: &'static str = "inventory";

    fn contribution(view: &JarLevel) -> Counters {
        Counters::default().with("all", "jars", 1).with("all", "content", i128::from(view.level))
    }
}

/// Other systems hear of a filled and of a smashed jar, but not of notes.
pub struct JarPublication;

#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "type", content = "data")]
pub enum PublicJarEvent {
    #[serde(rename = "jar.filled")]
    Filled { amount: u64 },
    #[serde(rename = "jar.smashed")]
    Smashed {},
}

impl PublicEvent for PublicJarEvent {
    const SCHEMAS: &'static [(&'static str, u32)] = &[("jar.filled", 1), ("jar.smashed", 1)];
}

impl Publication for JarPublication {
    type Event = JarEvent;
    type Public = PublicJarEvent;

    const NAME: &'static str = "jar-publication";

    fn publish(recorded: Recorded<'_, JarEvent>) -> Option<PublicJarEvent> {
        match recorded.event {
            JarEvent::Filled { amount, .. } if *amount == PANIC_AMOUNT => panic!("the amount {PANIC_AMOUNT}"),
            JarEvent::Filled { amount, .. } => Some(PublicJarEvent::Filled { amount: *amount }),
            JarEvent::Emptied { .. } => None,
            JarEvent::Smashed {} => Some(PublicJarEvent::Smashed {}),
        }
    }
}

/// The number of events of a jar.
pub struct Visits;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    pub jar: String,
    pub visits: u64,
}

impl Projection for Visits {
    type Event = JarEvent;
    type View = Visit;

    const NAME: &'static str = "visits";
    const KEY: &'static str = "jar";
    const SCHEMA: u32 = 1;

    fn evolve(view: Option<Visit>, recorded: Recorded<'_, JarEvent>) -> Option<Visit> {
        let visits = view.map_or(0, |view| view.visits) + 1;
        Some(Visit { jar: recorded.stream.key().to_owned(), visits })
    }
}
