//! The whole system in one thread, under one seed: the same calls and outcomes in every run of a seed.
//!
//! 1. [`run()`]: a run of a seed, from the first order to the last check; [`seeds`]: many of them.
//! 2. [`world`]: what all of it depends on: [`clock`], [`seeded_random`], and the [`trace`] of what happened.
//! 3. [`network`]: the way of a call; [`faults`]: what goes wrong on it; [`mutation`]: protections taken away.
//! 4. [`delivery`]: records that come late, or that the projector is too old for; [`stale_views`]: what older code has left behind.
//! 5. [`clients`]: who asks; [`commands`]: what they logged for, and what they were reply.
//! 6. [`invariant_checker`]: whether the tables are as the invariants say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a simulation fails loudly"
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
