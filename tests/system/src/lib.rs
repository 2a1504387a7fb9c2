//! Has tests alone: see `main.rs`.
