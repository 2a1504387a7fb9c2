//! The «words» aggregate: commands, events, rejections, state, decide and evolve, in this order.

use cqrs::{Aggregate, Event, Id, SubjectId, Text};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub type «Camel»Id = Id<«Camel»>;
/// The caller who opened the «words»: the `sub` claim of the caller's token.
pub type OwnerId = SubjectId;
pub type Title = Text<200>;

/// A request to one «words». Its serialization is part of the stored fingerprints and must not change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum «Camel»Command {
    Open { owner_id: OwnerId, title: Title },
}

/// An event of «a» «words». This is a storage format: every schema version of every event has a file in `golden/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", content = "data")]
pub enum «Camel»Event {
    /// The «words» was opened.
    #[serde(rename = "«kebab».opened")]
    Opened { owner_id: OwnerId, title: Title },
}

impl Event for «Camel»Event {
    const CATEGORY: &'static str = "«kebab»";
    const SCHEMAS: &'static [(&'static str, u32)] = &[("«kebab».opened", 1)];
}

/// A rule that forbids a command. The type of the problem ends with the name of the variant, as in `already-opened`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum «Camel»Rejection {
    #[error("the «words» has already been opened")]
    AlreadyOpened,
}

/// The state of «a» «words»: only the facts that the rules and the ownership check need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct «Camel» {
    /// `None` before the first event, like the status.
    pub owner_id: Option<OwnerId>,
    pub status: Option<Status>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    Open,
}

impl Aggregate for «Camel» {
    type Key = «Camel»Id;
    type Command = «Camel»Command;
    type Event = «Camel»Event;
    type Rejection = «Camel»Rejection;

    fn decide(&self, command: «Camel»Command, _at: Timestamp) -> Result<Vec<«Camel»Event>, «Camel»Rejection> {
        match (self.status, command) {
            (None, «Camel»Command::Open { owner_id, title }) => Ok(vec![«Camel»Event::Opened { owner_id, title }]),
            (Some(_), «Camel»Command::Open { .. }) => Err(«Camel»Rejection::AlreadyOpened),
        }
    }

    fn evolve(self, event: &«Camel»Event) -> Self {
        match event {
            «Camel»Event::Opened { owner_id, .. } => {
                Self { owner_id: Some(owner_id.clone()), status: Some(Status::Open) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs::{
        InvalidValue,
        spec::{assert_golden, given},
    };

    use super::*;

    fn text<T: TryFrom<String, Error = InvalidValue>>(text: &str) -> T {
        text.to_owned().try_into().unwrap()
    }

    fn open() -> «Camel»Command {
        «Camel»Command::Open { owner_id: text("alice"), title: text("The first") }
    }

    fn opened() -> «Camel»Event {
        «Camel»Event::Opened { owner_id: text("alice"), title: text("The first") }
    }

    #[test]
    fn «a»_«snake»_can_be_opened_only_once() {
        given::<«Camel»>([]).when(open()).then([opened()]);
        given::<«Camel»>([opened()]).when(open()).then_rejected(«Camel»Rejection::AlreadyOpened);
    }

    #[test]
    fn every_event_has_its_golden_files() {
        assert_golden(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"), [opened()]);
    }
}
