//! The pure part of the toolkit: aggregates, events, commits, projections and rollups.
//!
//! This crate has no IO, clock, randomness or async code. Read it in this order:
//!
//! 1. [`aggregate`]: decides commands and evolves by events.
//! 2. [`event`]: events, their stored form and their schema versions.
//! 3. [`commit`]: the events of one accepted command, at a position in a [`stream`].
//! 4. [`identity`]: command ids and fingerprints, which identify a repeated command.
//! 5. [`projection`]: folds one stream into one view.
//! 6. [`rollup`]: counters over the views of one projection.
//! 7. [`spec`]: given/when/then tests of aggregates and projections.

pub mod aggregate;
pub mod commit;
pub mod event;
pub mod identity;
pub mod projection;
pub mod rollup;
pub mod spec;
pub mod stream;

pub use aggregate::Aggregate;
pub use commit::{Commit, Recorded, StoredCommit, recorded_at};
pub use event::{Event, EventRecord, Undecodable};
pub use identity::{CommandId, Fingerprint, derived_id, digest};
pub use projection::Projection;
pub use rollup::{Counters, Rollup};
pub use stream::{InvalidStreamId, StreamId, Version};
