//! The whole system in one thread, under one seed. Every run of a seed has the same calls and outcomes.
//!
//! 1. [`run()`]: the run of a seed, from the first order to the last check. [`seeds`]: runs of many seeds.
//! 2. [`world`]: the state that all parts share: [`clock`], [`seeded_random`], [`commands`] and [`trace`].
//!    [`process`]: what each process has for itself.
//! 3. [`network`]: the latency of calls. [`faults`]: faults of calls. [`mutation`]: removed protections.
//! 4. [`delivery`]: late and unreadable records. [`stale_views`]: views of an older schema version. [`damage`]:
//!    restored events, and tables that are lost or old.
//! 5. [`domain`]: the simulated domain. [`clients`]: clients that send its commands and queries. [`long_streams`]:
//!    streams of many commits. [`operator`]: the operator that rebuilds views and counters.
//! 6. [`invariant_checker`]: compares tables and replies with the invariants, for any projections. [`view_models`]: the
//!    views that it expects; `table_history`: all states of the tables.
//! 7. [`signals`]: the process function, with the faults of its signals. [`timers`]: checks what it did.

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
pub mod damage;
pub mod delivery;
pub mod domain;
pub mod faults;
pub mod invariant_checker;
pub mod long_streams;
pub mod mutation;
pub mod network;
pub mod operator;
mod plain;
pub mod process;
pub mod published_events;
mod run;
pub mod seeded_random;
pub mod seeds;
pub mod signals;
pub mod stale_views;
mod table_history;
pub mod timers;
pub mod trace;
pub mod view_models;
pub mod world;

pub use mutation::Mutation;
pub use run::{InvariantViolation, RunReport, run};
