//! What a project declares to run its system in the local stack.

use std::{path::PathBuf, time::Duration};

use app::App;

use crate::{functions::Function, openapi::ApiDescription};

/// The system of a project: its functions, its API, and the texts of its `cargo local`.
#[derive(Clone)]
pub struct Deployment {
    /// The name of the system, in messages and as the title of its API. For example `Orders`.
    pub name: &'static str,
    /// The SAM template that deploys the system.
    pub template: PathBuf,
    /// Composes the function of a binary, as its `main` composes it. `None` for an unknown name.
    pub function: fn(binary: &str, app: &App, timeout: Duration) -> Option<Function>,
    /// The scopes of an operator, separated by spaces: all scopes of the API.
    pub operator_scopes: &'static str,
    pub api: ApiDescription,
    /// The request that the startup message shows.
    pub example: ExampleRequest,
    /// The path of the events of the aggregate with this id, for `cargo local history`.
    pub history_path: fn(id: &str) -> String,
}

/// A command that a user can send first.
#[derive(Clone)]
pub struct ExampleRequest {
    pub path: &'static str,
    /// JSON without single quotes, as the shell needs it.
    pub body: &'static str,
    /// The caller with `--auth`.
    pub caller: &'static str,
    /// The scopes of the caller, separated by spaces.
    pub scopes: &'static str,
}
