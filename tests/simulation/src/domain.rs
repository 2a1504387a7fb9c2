//! The simulated domain: the category of its streams. Its commands are in [`commands`] and its
//! queries in [`clients`].
//!
//! [`commands`]: crate::commands
//! [`clients`]: crate::clients

use cqrs::Event;
use orders::OrderEvent;

/// The category of the streams that the clients command.
pub const CATEGORY: &str = OrderEvent::CATEGORY;
