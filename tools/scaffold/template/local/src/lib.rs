//! The deployed system as the local stack runs it. The tests and `cargo local` use this declaration.

use std::path::Path;

use domain::Domains;
use functions::{command, openapi, query};
use local::{ApiDescription, Deployment, ExampleRequest, UsedTables};

/// The system that `template.yaml` deploys.
///
/// # Panics
/// Panics if two read models have the same name.
#[allow(clippy::expect_used, reason = "the command line and all tests need the declarations of this project")]
pub fn deployment() -> Deployment {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let api = ApiDescription {
        version: env!("CARGO_PKG_VERSION"),
        license: "LicenseRef-proprietary",
        description: "Errors are problem details (RFC 9457) with a stable `type`.",
        token: "A JSON Web Token with at least one of the operation's scopes.",
    };
    let example = ExampleRequest {
        operation: "open«Camel»",
        body: r#"{"title": "The first"}"#,
        caller: "alice",
        scopes: "«kebab»s/write «kebab»s/read",
    };
    Deployment::new::<Domains>("«Words»s", template, api, example, "get«Camel»Events")
        .expect("the read models have different names")
        .http(&[(command::function, openapi::describe), (query::function, openapi::describe)])
        .handler("projector", UsedTables::ReadModels, |app, event| async move { projector::handle::<Domains>(&app, event).await })
        .handler("maintain", UsedTables::All, |app, event| async move { maintain::handle::<Domains>(&app, event).await })
}
