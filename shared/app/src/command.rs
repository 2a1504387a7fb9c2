//! Commands: reads a request, executes its command, and responds.
//!
//! 1. [`context`]: the caller, the headers and the deadline of a command; executes it.
//! 2. [`headers`]: idempotency key, expected version, trace.
//! 3. [`body`]: reads a request body strictly; [`fields`]: validates its fields and reports all errors at once.
//! 4. [`outcome`]: converts the outcome of a command to a response.

pub mod body;
pub mod context;
pub mod fields;
pub mod headers;
pub mod outcome;

pub use self::{
    body::{JsonBody, JsonObject, WholeNumber},
    context::CommandContext,
    fields::FieldValidation,
    headers::CommandHeaders,
};
