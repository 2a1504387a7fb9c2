//! The theory of the toolkit, pure: what an aggregate, an event, a commit, a projection and a rollup are.
//!
//! Nothing here waits, reads a clock or knows where data is kept. Read it in this order:
//!
//! 1. [`aggregate`]: decides commands, evolves by events.
//! 2. [`event`]: what happened, and how it outlives the code that wrote it.
//! 3. [`commit`]: the events of one accepted command, and its place in a [`stream`].
//! 4. [`identity`]: how a repeated command is recognised.
//! 5. [`projection`]: folds one stream into one view.
//! 6. [`rollup`]: counters over the views of one projection.
//! 7. [`spec`]: given/when/then for all of them.

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
pub use identity::{CommandId, Fingerprint, derived_id};
pub use projection::Projection;
pub use rollup::{Counters, Rollup};
pub use stream::{NotAStream, StreamId, Version};
