//! The local stack: emulates the parts of AWS that a system of this toolkit uses.
//!
//! 1. [`deployment`]: declares the functions, the template and the API of a project.
//! 2. [`template`]: the deployed resources, read from the template.
//! 3. [`engine`]: the DynamoDB, embedded or remote. [`tables`]: creates the tables of the template.
//! 4. [`functions`]: the functions, invoked with the events and responses of Lambda.
//! 5. [`gateway`]: the HTTP API. [`authorizer`]: its JWT authorizer. [`openapi`]: its description.
//! 6. [`event_source_mapping`]: delivers the stream to its readers. [`queue_mapping`]: delivers messages of queues.
//! 7. [`messaging`]: EventBridge, SQS and EventBridge Scheduler. [`clock`]: the clock that their timers follow.
//!    [`scheduled`]: invokes functions at a fixed rate.
//! 8. [`public_events`]: the events for other systems, with the rule for changes. [`asyncapi`]: their description.
//! 9. [`chaos`]: injects faults into calls and deliveries.
//! 10. [`stack`]: all parts together. [`cli`]: the command line of a project. [`testing`]: its system tests.
//!
//! The crate contains no domain and no function. A project gets its own `cargo local` from a binary that declares a
//! [`Deployment`] and calls [`cli::main`].

#![allow(clippy::indexing_slicing, reason = "indexing sets a field of a JSON object, and does not panic")]

pub mod asyncapi;
pub mod authorizer;
pub mod chaos;
pub mod cli;
pub mod clock;
pub mod deployment;
pub mod engine;
pub mod event_source_mapping;
pub mod functions;
pub mod gateway;
pub mod hash;
pub mod messaging;
pub mod openapi;
pub mod public_events;
pub mod queue_mapping;
pub mod scheduled;
pub mod stack;
pub mod tables;
pub mod template;
pub mod testing;

pub use app::start::UsedTables;
pub use deployment::{Deployment, ExampleRequest};
pub use engine::Engine;
pub use openapi::ApiDescription;
pub use stack::{Stack, StartError};
pub use template::Template;
