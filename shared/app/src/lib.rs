//! HTTP, settings and telemetry for all functions.
//!
//! 1. [`settings`]: the settings of a function, read from its environment.
//! 2. [`start`]: builds an [`App`] from settings; [`client`] builds its DynamoDB client.
//! 3. [`routes`]: the routes of a function.
//! 4. [`caller`]: the authenticated caller and its scopes.
//! 5. [`parameters`], [`etag`], [`cursor`]: path and query parameters, entity tags, list cursors.
//! 6. [`problem`]: error responses; [`response`]: successful responses; [`versioned`]: views with their version.
//! 7. [`metrics`], [`trace`]: telemetry.
//! 8. `openapi`: the OpenAPI description of a function, compiled only for the local stack.

pub mod caller;
pub mod client;
pub mod cursor;
pub mod etag;
pub mod metrics;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod parameters;
pub mod problem;
pub mod response;
pub mod routes;
pub mod settings;
pub mod start;
pub mod trace;
pub mod versioned;

pub use caller::{Caller, Scope};
pub use cursor::Cursor;
pub use metrics::{Measurements, Metrics};
pub use parameters::{Parameters, PathKey};
pub use problem::Problem;
pub use response::json;
pub use routes::Routes;
pub use settings::{Settings, TableNames};
pub use start::{App, WithDeadline};
pub use versioned::Versioned;
