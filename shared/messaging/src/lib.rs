//! Messages to other systems, through the unmodified AWS SDK.
//!
//! 1. [`event_bus`]: puts public events on an EventBridge bus.

pub mod event_bus;

pub use event_bus::EventBus;
