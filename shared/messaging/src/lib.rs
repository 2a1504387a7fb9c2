//! Messages to other systems, through the unmodified AWS SDK.
//!
//! 1. [`event_bus`]: puts public events on an EventBridge bus.

//! 2. [`publisher`]: catches publications up with their streams.

pub mod event_bus;
pub mod publisher;

pub use event_bus::EventBus;
pub use publisher::publisher;
