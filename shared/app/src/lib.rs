//! HTTP, settings and telemetry for all functions.
//!
//! 1. [`function`]: an HTTP function, with its tables and routes. `http_event` reads the events that it receives.
//! 2. [`command`]: executes commands; [`query`]: responds with views, histories and lists.
//! 3. [`caller`]: the authenticated caller and its scopes.
//! 4. [`parameters`], [`etag`], [`cursor`]: path and query parameters, entity tags, list cursors.
//! 5. [`problem`]: error responses; [`response`]: successful responses; [`versioned`]: views with their version.
//! 6. [`settings`]: the settings of a function, read from its environment; [`tables`]: the names of its tables.
//! 7. [`start`]: builds an [`App`] from settings; [`client`] builds its DynamoDB client; [`aws`] configures the clients
//!    of other services.
//! 8. [`stream_batch`]: a batch of records of the events table's stream; [`batch_response`]: the response to a batch of
//!    records or messages.
//! 9. [`metrics`], [`trace`]: telemetry.
//! 10. `openapi`: the OpenAPI description of a function, compiled only for the local stack.

pub mod aws;
pub mod batch_response;
pub mod caller;
pub mod client;
pub mod command;
pub mod cursor;
pub mod etag;
pub mod function;
mod http_event;
pub mod metrics;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod parameters;
pub mod problem;
pub mod query;
pub mod response;
pub mod settings;
pub mod start;
pub mod stream_batch;
pub mod tables;
pub mod trace;
pub mod versioned;

pub use aws::Aws;
pub use batch_response::BatchResponse;
pub use caller::Caller;
pub use command::CommandContext;
pub use cursor::Cursor;
pub use function::{HttpFunction, HttpService, Route};
pub use http_event::HttpAnswer;
pub use metrics::{Measurements, Metrics};
pub use parameters::{Parameters, PathKey, PathText};
pub use problem::Problem;
pub use query::QueryContext;
pub use response::json;
pub use settings::Settings;
pub use start::{App, WithDeadline};
pub use tables::Tables;
pub use versioned::Versioned;
