//! Messages to other systems, through the unmodified AWS SDK.
//!
//! 1. [`event_bus`]: puts public events on an EventBridge bus.
//! 2. [`publisher`]: catches publications up with their streams.
//! 3. [`schedules`]: sends messages to a queue at a time, by EventBridge Scheduler.

pub mod event_bus;
pub mod publisher;
pub mod schedules;

pub use event_bus::EventBus;
pub use publisher::publisher;
pub use schedules::{ScheduleError, Schedules};
