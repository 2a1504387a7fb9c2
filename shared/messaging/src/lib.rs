//! Messages to and from other systems, through the unmodified AWS SDK.
//!
//! 1. [`event_bus`]: puts events on an EventBridge bus; [`queue`]: sends messages to an SQS queue; [`schedules`]: sends
//!    messages to a queue at a time, by EventBridge Scheduler.
//! 2. [`mod@publisher`]: catches publications up with their streams.
//! 3. [`queue_event`]: a batch of SQS messages, as Lambda passes it to a function.
//! 4. [`command_queue`]: a function that executes the commands in the messages of a queue.

pub mod command_queue;
pub mod event_bus;
pub mod publisher;
pub mod queue;
pub mod queue_event;
pub mod schedules;

pub use command_queue::CommandQueue;
pub use event_bus::EventBus;
pub use publisher::publisher;
pub use queue::{NewMessage, NotSent, QueueClient};
pub use queue_event::QueueMessage;
pub use schedules::{ScheduleError, Schedules};
