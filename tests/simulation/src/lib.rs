//! The whole system in one thread, under one seed: the same calls and outcomes in every run of a seed.
//!
//! 1. [`run()`]: a run of a seed, from the first order to the last check; [`many`]: many of them.
//! 2. [`world`]: what all of it depends on: [`clock`], [`chance`], and the [`journal`] of what happened.
//! 3. [`network`]: the way of a call; [`faults`]: what goes wrong on it; [`sabotage`]: protections taken away.
//! 4. [`delivery`]: records that come late, or that the projector is too old for; [`older`]: what older code has left behind.
//! 5. [`clients`]: who asks; [`commands`]: what they asked for, and what they were told.
//! 6. [`witness`]: whether the tables are as the invariants say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a simulation fails loudly"
)]

pub mod chance;
pub mod clients;
pub mod clock;
pub mod commands;
pub mod delivery;
pub mod faults;
pub mod journal;
pub mod many;
pub mod network;
pub mod older;
mod run;
pub mod sabotage;
pub mod witness;
pub mod world;

pub use run::{Done, Violation, run};
pub use sabotage::Sabotage;
