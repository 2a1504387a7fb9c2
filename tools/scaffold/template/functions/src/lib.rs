//! The functions: each binary in `bin/` is one function on Lambda.
//!
//! 1. [`command`]: each route executes one command on one «words».
//! 2. [`query`]: each route reads a view, a history or the totals.
//! 3. `openapi`: describes the routes, for the local stack only.

pub mod command;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod query;
