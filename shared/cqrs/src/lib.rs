//! The pure part of the toolkit: aggregates, events, commits, projections and read models.
//!
//! This crate has no IO, clock, randomness or async code. Read it in this order:
//!
//! 1. [`aggregate`]: decides commands and evolves by events.
//! 2. [`event`]: events, their stored form and their schema versions.
//! 3. [`commit`]: the events of one accepted command, at a position in a [`stream`], in a hash chain; [`heads`]: a
//!    digest of all chains.
//! 4. [`identity`]: command ids and fingerprints, which identify a repeated command.
//! 5. [`projection`]: folds one stream into one view; [`index`]: lists of views.
//! 6. [`rollup`]: [`counters`] over the views of one projection; [`tally`]: counters over its events; [`rows`]: several
//!    rows from one view.
//! 7. [`read_model`]: declares a projection with its rollups, tallies and rows; a domain declares its read models.
//! 8. [`publication`]: chooses the events that other systems hear of; [`cloud_event`]: their envelope.
//! 9. [`process`]: reacts to events and timers with commands.
//! 10. [`id`], [`text`], [`bounded`], [`time`], [`scope`]: values that domains are built of; [`value`]: their error.
//! 11. [`spec`]: given/when/then tests of aggregates, projections and processes, and the test of golden event files.
//!
//! The module `openapi` has the OpenAPI schemas of the values, compiled only for the local stack.

pub mod aggregate;
pub mod bounded;
pub mod cloud_event;
pub mod commit;
pub mod counters;
pub mod event;
pub mod heads;
pub mod id;
pub mod identity;
pub mod index;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod process;
pub mod projection;
pub mod publication;
pub mod read_model;
pub mod rollup;
pub mod rows;
pub mod scope;
pub mod spec;
pub mod stream;
pub mod subject;
pub mod tally;
pub mod text;
pub mod time;
pub mod value;

pub use aggregate::Aggregate;
pub use bounded::Bounded;
pub use cloud_event::CloudEvent;
pub use commit::{BrokenChain, Commit, CommitHash, Position, Recorded, StoredCommit, recorded_at};
pub use counters::Counters;
pub use event::{Event, EventRecord, Undecodable};
pub use heads::HeadsDigest;
pub use id::Id;
pub use identity::{CommandId, Fingerprint, derived_id, digest};
pub use index::Index;
pub use process::{Process, ProcessEvent, Reaction, Trigger};
pub use projection::Projection;
pub use publication::{LastPublished, PublicEvent, PublicRecord, Publication, Published};
pub use read_model::{DeclarationError, Domain, ReadModel, ReadModels};
pub use rollup::Rollup;
pub use rows::{RowKey, Rows};
pub use scope::Scope;
pub use stream::{InvalidStreamId, StreamId, Version};
pub use subject::SubjectId;
pub use tally::Tally;
pub use text::Text;
pub use time::{Day, Time};
pub use value::InvalidValue;
