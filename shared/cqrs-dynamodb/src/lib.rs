//! CQRS on DynamoDB: events, views and counters, through the unmodified AWS SDK.
//!
//! The only seam for tests and emulators is the endpoint of the SDK's client. Reading order:
//!
//! 1. [`dynamo`]: the client of one invocation, with clock, randomness and deadline; [`call`]: its calls;
//!    [`store_error`]: their errors.
//! 2. [`event_store`]: loads and appends commits; [`commit_item`]: their items in a hash chain; [`mod@canonical`]: the
//!    form that is hashed.
//! 3. [`mod@execute`]: executes one command on a new or an existing stream.
//! 4. [`views`]: the views of one projection; [`mod@bookkeeping`]: their additions to counters and rows; [`revision`]:
//!    the condition of their next write.
//! 5. [`counters`]: one table of counters; [`mod@generations`]: their rebuild; [`rows`]: one table of rows.
//! 6. [`projector`]: catches views and counters up with their streams; [`parked`]: streams that cannot be folded.
//! 7. [`reader`]: reads single views, with the caller's own writes folded in; [`index`]: reads lists of views.
//! 8. [`process`]: runs processes: follows source streams, fires timers and sends commands.
//! 9. [`streams`]: scans all streams, for rebuild, sweep and verify.

pub mod bookkeeping;
mod call;
mod canonical;
pub mod commit_item;
pub mod counters;
pub mod dynamo;
pub mod environment;
pub mod event_store;
pub mod execute;
mod fold;
pub mod generations;
pub mod index;
mod item;
pub mod parked;
pub mod process;
pub mod projector;
pub mod reader;
mod revision;
pub mod rows;
#[cfg(test)]
mod sample;
pub mod store_error;
pub mod streams;
pub mod views;

pub use bookkeeping::Bookkeeping;
pub use call::Consistency;
pub use counters::CountersTable;
pub use dynamo::Dynamo;
pub use environment::Environment;
pub use event_store::{AppendOutcome, EventStore};
pub use execute::{CommandError, CommandRequest, Executed, create, create_or_execute, execute};
pub use generations::{Generation, Generations, InGeneration};
pub use index::{IndexPage, IndexPosition, IndexRow};
pub use item::Item;
pub use parked::{Parked, ParkedView};
pub use process::{DueInstance, ProcessError, ProcessReport, catch_up_process};
pub use projector::{
    CatchUpReport, CatchUpRequest, EventSink, Projector, ProjectorBuilder, RepublishFrom, RepublishReport, SendError,
    Verified, VerifiedStreams, VerifiedViews, ViewDefect,
};
pub use reader::{ReadOutcome, Reader};
pub use rows::{RowsPage, RowsTable};
pub use store_error::StoreError;
pub use streams::{ScanCursor, Segment, StreamFilter, StreamsPage};
pub use views::{StoredView, Views};
