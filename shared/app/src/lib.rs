//! The edge that all functions share.
//!
//! 1. [`settings`]: what a function is told by its environment.
//! 2. [`start`]: from settings to an [`App`], and its [`client`] of DynamoDB.
//! 3. [`routes`]: which requests a function answers.
//! 4. [`caller`]: who asks, and what they may ask for.
//! 5. [`parameters`], [`etag`], [`cursor`]: what else a request says.
//! 6. [`problem`]: what is answered when something is wrong, and [`answer`] when nothing is.
//! 7. [`metrics`], [`trace`]: what operators see of it.
//! 8. `openapi`: how a function describes all that, for the local stack alone.

pub mod answer;
pub mod caller;
pub mod client;
pub mod cursor;
pub mod etag;
pub mod metrics;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod parameters;
pub mod problem;
pub mod routes;
pub mod settings;
pub mod start;
pub mod trace;

pub use answer::json;
pub use caller::{Caller, Scope};
pub use cursor::Cursor;
pub use metrics::{Measurements, Metrics};
pub use parameters::{Parameters, PathKey};
pub use problem::Problem;
pub use routes::Routes;
pub use settings::{Settings, TableNames};
pub use start::{App, WithDeadline};
