//! The deployment of the order service: what `template.yaml` deploys, as the local stack runs it.
//!
//! 1. [`deployment()`]: the functions by the names of their binaries, the public events, and the texts of the API.
//! 2. [`order_workload`]: the commands of `cargo local check`, and how it reads the answers.
//! 3. [`cli`]: `cargo local` with the commands `demo` and `check` of the order service.

pub mod cli;
pub mod order_workload;

use std::path::Path;

use domains::Domains;
use local::{ApiDescription, Deployment, ExampleRequest, Template, UsedTables};
pub use order_workload::OrderWorkload;
use orders::{OrderPublication, ShippingDeadline, ShippingReminders};

const DESCRIPTION: &str = "A command changes one order and returns its new version. A query reads views, which are \
    updated asynchronously. Money is an integer in minor units with an ISO 4217 currency code; a sum over orders is a \
    decimal string, because it may exceed 2^53. Times are RFC 3339 in UTC.\n\n\
    Errors are problem details (RFC 9457) with a stable, absolute `type`, whose last segment names its page in \
    `docs/problems`. Errors of API Gateway itself have the form \
    `{\"message\"}` instead. Unknown fields in requests are rejected. Clients must ignore unknown fields in responses.";

const TOKEN: &str = "A JSON Web Token with at least one of the operation's scopes. `cargo local` accepts requests \
    without a token, and treats them as requests of an operator with all scopes. With `--auth` it requires a token, \
    which `cargo local token` creates.";

const EXAMPLE: &str = r#"{
    "customer_id": "alice", "currency": "EUR", "shipping_address": "1 Main Street, Springfield",
    "items": [{"sku": "BOOK-1", "quantity": 2, "unit_price": 1250}]}"#;

/// The order service.
///
/// # Panics
/// Panics if the declarations of the domains collide.
#[allow(clippy::expect_used, reason = "the command line and all tests need the declarations of this repository")]
pub fn deployment() -> Deployment {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let api = ApiDescription {
        version: env!("CARGO_PKG_VERSION"),
        license: env!("CARGO_PKG_LICENSE"),
        description: DESCRIPTION,
        token: TOKEN,
    };
    let timers = process::tables::<ShippingDeadline>().expect("the declarations of the process do not collide");
    let caller = ("alice", "orders/write orders/read");
    let example = ExampleRequest { operation: "placeOrder", body: EXAMPLE, caller: caller.0, scopes: caller.1 };
    Deployment::new::<Domains>("Orders", template, api, example, "getOrderEvents")
        .expect("the declarations of the domains do not collide")
        .http(&[
            (command::function, command::openapi::describe),
            (get_order::function, get_order::describe),
            (list_orders::function, list_orders::describe),
            (get_dashboard::function, get_dashboard::describe),
        ])
        .handler("projector", UsedTables::ReadModels, |app, event| async move {
            projector::handle::<Domains>(&app, event).await
        })
        .handler("publisher", UsedTables::Publications, |app, event| async move {
            publisher::handle::<Domains>(&app, event).await
        })
        .handler_of(
            "process",
            &timers,
            |app, event| async move { process::handle::<ShippingDeadline>(&app, event).await },
        )
        .handler(
            "command-queue",
            UsedTables::None,
            |app, event| async move { command_queue::handle(&app, event).await },
        )
        .handler(
            "maintain",
            UsedTables::All,
            |app, event| async move { maintain::handle::<Domains>(&app, event).await },
        )
        .publishes::<OrderPublication>("orders", orders::openapi::samples)
        .publishes::<ShippingReminders>("orders", orders::openapi::reminder_samples)
}

/// The deployed template.
///
/// # Panics
/// Panics if the template of this repository is invalid.
#[allow(clippy::expect_used, reason = "tests and simulation need the template of this repository")]
pub fn template() -> Template {
    Template::read(&deployment().template).expect("the template of this repository is valid")
}
