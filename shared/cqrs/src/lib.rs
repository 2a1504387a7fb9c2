//! The pure part of the toolkit: aggregates, events, commits, projections and read models.
//!
//! This crate has no IO, clock, randomness or async code. Read it in this order:
//!
//! 1. [`aggregate`]: decides commands and evolves by events.
//! 2. [`event`]: events, their stored form and their schema versions.
//! 3. [`commit`]: the events of one accepted command, at a position in a [`stream`].
//! 4. [`identity`]: command ids and fingerprints, which identify a repeated command.
//! 5. [`projection`]: folds one stream into one view.
//! 6. [`rollup`]: [`counters`] over the views of one projection; [`tally`]: counters over its events; [`rows`]: several
//!    rows from one view.
//! 7. [`read_model`]: declares a projection with everything that is kept beside its views; a domain declares its own.
//! 8. [`spec`]: given/when/then tests of aggregates and projections.

pub mod aggregate;
pub mod commit;
pub mod counters;
pub mod event;
pub mod identity;
pub mod projection;
pub mod read_model;
pub mod rollup;
pub mod rows;
pub mod spec;
pub mod stream;
pub mod tally;

pub use aggregate::Aggregate;
pub use commit::{Commit, Recorded, StoredCommit, recorded_at};
pub use counters::Counters;
pub use event::{Event, EventRecord, Undecodable};
pub use identity::{CommandId, Fingerprint, derived_id, digest};
pub use projection::Projection;
pub use read_model::{DeclarationError, Domain, ReadModel, ReadModels};
pub use rollup::Rollup;
pub use rows::{RowKey, Rows};
pub use stream::{InvalidStreamId, StreamId, Version};
pub use tally::Tally;
