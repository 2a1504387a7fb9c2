//! System tests over HTTP and the stream: one behaviour per test, one module per subject.
//!
//! Every test has its own system: tables in a DynamoDB, all functions behind a URL, fixed times and ids, and a
//! projector that the test steps. No test sleeps. The DynamoDB is embedded, or the one at
//! `AWS_ENDPOINT_URL_DYNAMODB`, for example Amazon DynamoDB Local.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod harness;

mod architecture;
mod bad_input;
mod chaos;
mod check;
mod command_queue;
mod concurrency;
mod cost;
mod counters;
mod delivery;
mod engines;
mod event_source_mapping;
mod events;
mod front_door;
mod fuzzing;
mod idempotency;
mod identity;
mod invoke_api;
mod kernel;
mod maintain;
mod metrics;
mod openapi;
mod parking;
mod personal_data;
mod projector;
mod public_events;
mod publishing;
mod queries;
mod read_your_writes;
mod restore;
mod runtime_api;
mod shipping_deadline;
mod steps;
mod storage_faults;
mod walkthrough;
