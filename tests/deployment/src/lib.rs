//! The deployment of the order service: what `template.yaml` deploys, as the local stack runs it.
//!
//! 1. [`deployment()`]: the functions by the names of their binaries, and the texts of the API.
//! 2. [`order_workload`]: the commands of `cargo local check`, and how it reads the answers.
//! 3. [`cli`]: `cargo local` with the commands `demo` and `check` of the order service.

pub mod cli;
pub mod order_workload;

use std::{path::Path, time::Duration};

use app::{App, openapi::Operation};
use local::{ApiDescription, Deployment, ExampleRequest, Template, functions::Function};
pub use order_workload::OrderWorkload;

/// All scopes of the API, separated by spaces.
pub const OPERATOR_SCOPES: &str = "orders/write orders/read orders/fulfil orders/admin";

const DESCRIPTION: &str = "A command changes one order and returns its new version. A query reads views, which are \
    updated asynchronously. Money is an integer in minor units with an ISO 4217 currency code. Times are RFC 3339 in \
    UTC.\n\n\
    Errors are problem details (RFC 9457) with a stable `type`. Errors of API Gateway itself have the form \
    `{\"message\"}` instead. Unknown fields in requests are rejected. Clients must ignore unknown fields in responses.";

const TOKEN: &str = "A JSON Web Token with at least one of the operation's scopes. `cargo local` accepts requests \
    without a token, and treats them as requests of an operator with all scopes. With `--auth` it requires a token, \
    which `cargo local token` creates.";

const EXAMPLE: &str = r#"{
    "customer_id": "alice", "currency": "EUR", "shipping_address": "1 Main Street, Springfield",
    "items": [{"sku": "BOOK-1", "quantity": 2, "unit_price": 1250}]}"#;

/// The order service.
pub fn deployment() -> Deployment {
    Deployment {
        name: "Orders",
        template: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml"),
        function,
        operator_scopes: OPERATOR_SCOPES,
        api: ApiDescription {
            version: env!("CARGO_PKG_VERSION"),
            license: env!("CARGO_PKG_LICENSE"),
            description: DESCRIPTION,
            token: TOKEN,
            operations,
        },
        example: ExampleRequest { path: "/orders", body: EXAMPLE, caller: "alice", scopes: "orders/write orders/read" },
        history_path: |id| format!("/orders/{id}/events"),
    }
}

/// The deployed template.
///
/// # Panics
/// Panics if the template of this repository is invalid.
#[allow(clippy::expect_used, reason = "tests and simulation need the template of this repository")]
pub fn template() -> Template {
    Template::read(&deployment().template).expect("the template of this repository is valid")
}

/// The function of this binary, composed as its `main` composes it.
fn function(binary: &str, app: &App, timeout: Duration) -> Option<Function> {
    let app = app.clone();
    match binary {
        "command" => Some(Function::from_router(command::router(app), timeout)),
        "get-order" => Some(Function::from_router(get_order::router(app), timeout)),
        "list-orders" => Some(Function::from_router(list_orders::router(app), timeout)),
        "get-dashboard" => Some(Function::from_router(get_dashboard::router(app), timeout)),
        "projector" => Some(Function::from_handler(timeout, move |event| {
            let app = app.clone();
            async move { projector::handle(&app, event).await }
        })),
        "maintain" => Some(Function::from_handler(timeout, move |event| {
            let app = app.clone();
            async move { maintain::handle(&app, event).await }
        })),
        _ => None,
    }
}

fn operations() -> Vec<Operation> {
    let operations = [
        command::openapi::operations(),
        get_order::openapi::operations(),
        list_orders::openapi::operations(),
        get_dashboard::openapi::operations(),
    ];
    operations.into_iter().flatten().collect()
}
