//! The local stack: emulates the parts of AWS that the system uses.
//!
//! 1. [`template`]: the deployed resources, read from `template.yaml`.
//! 2. [`engine`]: the DynamoDB, embedded or remote. [`tables`]: creates the tables of the template.
//! 3. [`functions`]: the functions, invoked with the events and responses of Lambda.
//! 4. [`gateway`]: the HTTP API. [`authorizer`]: its JWT authorizer. [`openapi`]: its description.
//! 5. [`event_source_mapping`]: delivers the stream to the projector.
//! 6. [`chaos`]: injects faults into calls and deliveries.
//! 7. [`stack`]: all parts together. [`cli`]: the command line.
//! 8. [`check`]: checks the promises of any running system under load.

#![allow(clippy::indexing_slicing, reason = "indexing sets a field of a JSON object, and does not panic")]

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
