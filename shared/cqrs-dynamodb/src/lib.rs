//! The practice of the toolkit: events, views and counters in DynamoDB, through the unmodified AWS SDK.
//!
//! The one seam is the endpoint of the SDK's client. Read it in this order:
//!
//! 1. [`dynamo`]: the client, with the clock, the randomness and the deadline of one invocation.
//! 2. [`event_store`]: loads and appends commits.
//! 3. [`mod@execute`]: carries out one command.
//! 4. [`views`]: keeps the views of one projection.
//! 5. [`counters`]: keeps the counters of one rollup.
//! 6. [`projector`]: brings views and counters to the head of their streams; [`parked`]: streams that cannot be.
//! 7. [`streams`]: goes through all streams there are, to rebuild or to check.
//! 8. [`reader`]: reads views, with the caller's own writes folded in; [`index`]: reads lists of them.

pub mod counters;
pub mod dynamo;
pub mod environment;
pub mod event_store;
pub mod execute;
mod fold;
pub mod index;
mod item;
pub mod parked;
pub mod projector;
pub mod reader;
pub mod store_error;
pub mod streams;
pub mod views;

pub use counters::CountersTable;
pub use dynamo::Dynamo;
pub use environment::Environment;
pub use event_store::EventStore;
pub use execute::{CommandError, CommandRequest, Executed, create, execute};
pub use index::{IndexPage, IndexPosition, ViewIndex};
pub use parked::{Parked, ParkedView};
pub use projector::{CatchUpReport, CatchUpRequest, Projector, VerifiedViews, ViewDefect};
pub use reader::{ReadOutcome, Reader};
pub use store_error::StoreError;
pub use streams::{ScanCursor, Segment, StreamFilter, StreamsPage};
pub use views::{StoredView, Versioned, Views};
