//! Contains only tests: see `main.rs`.
