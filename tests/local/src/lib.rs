//! The local stack: all of AWS that this system touches, on one machine.
//!
//! 1. [`template`]: what is to be deployed, read from `template.yaml`.
//! 2. [`engine`]: a DynamoDB, embedded or elsewhere; [`tables`]: its tables, as the template has them.
//! 3. [`functions`]: the functions themselves, invoked with the events and answers of Lambda.
//! 4. [`gateway`]: an HTTP API in front of them; [`authorizer`]: its JWT authorizer; [`openapi`]: its
//!    description.
//! 5. [`mapping`]: an event source mapping, from the stream to the projector.
//! 6. [`chaos`]: what all of them may do to the functions.
//! 7. [`stack`]: all of it together; [`cli`]: the command line.
//! 8. [`check`]: whether a running system, this one or another, keeps its promises.

#![allow(clippy::indexing_slicing, reason = "a field of a JSON object is set by indexing, which does not panic")]

pub mod authorizer;
pub mod chaos;
pub mod check;
pub mod cli;
pub mod engine;
pub mod event_source_mapping;
pub mod functions;
pub mod gateway;
mod hash;
pub mod openapi;
pub mod stack;
pub mod tables;
pub mod template;

pub use engine::Engine;
pub use stack::{Stack, StartError};
pub use template::Template;
