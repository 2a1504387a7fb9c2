//! Commands: reads a command, executes it, and responds. HTTP and queues share all but the first and the last step.
//!
//! 1. [`document`]: a command as clients send it, with its name, its scopes and its instance.
//! 2. [`executor`]: executes the commands of a caller.
//! 3. [`context`]: the caller, the headers and the deadline of an HTTP request; executes its command.
//! 4. [`headers`]: idempotency key, expected version, trace.
//! 5. [`body`]: extracts the body of a request; [`strict_json`]: reads JSON strictly; [`fields`]: validates fields and
//!    reports all errors at once.
//! 6. [`outcome`]: converts the outcome of a command to a problem or a response.

pub mod body;
pub mod context;
pub mod document;
pub mod executor;
pub mod fields;
pub mod headers;
pub mod outcome;
pub mod strict_json;

pub use self::{
    body::JsonBody,
    context::CommandContext,
    document::{CommandDocument, CommandTarget},
    executor::{CommandExecutor, CommandOptions, RemoteAggregate},
    fields::FieldValidation,
    headers::CommandHeaders,
    strict_json::{JsonObject, WholeNumber},
};
