//! The whole system in one thread, under one seed. Every run of a seed has the same calls and outcomes.
//!
//! 1. [`run()`]: the run of a seed, from the first order to the last check. [`seeds`]: runs of many seeds.
//! 2. [`world`]: the state that all parts share: [`clock`], [`seeded_random`], [`commands`] and [`trace`].
//! 3. [`network`]: the latency of calls. [`faults`]: faults of calls. [`mutation`]: removed protections.
//! 4. [`delivery`]: late and unreadable records. [`stale_views`]: views of an older schema version.
//! 5. [`clients`]: clients that send commands and queries.
//! 6. [`invariant_checker`]: compares tables and replies with the invariants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a simulation fails by panicking"
)]

pub mod clients;
pub mod clock;
pub mod commands;
pub mod delivery;
pub mod faults;
pub mod invariant_checker;
pub mod mutation;
pub mod network;
mod run;
pub mod seeded_random;
pub mod seeds;
pub mod stale_views;
pub mod trace;
pub mod world;

pub use mutation::Mutation;
pub use run::{InvariantViolation, RunReport, run};
