//! The order domain, pure: the rules of an order and its read models. Read it in this order:
//!
//! 1. [`order`]: the aggregate with its commands, events and rules, and their values.
//! 2. [`order_summary`]: the view of an order, and its row in a customer's list.
//! 3. [`dashboard`]: the counters over all orders.
//! 4. [`scope`]: the permissions of callers.
//! 5. [`Orders`]: declares the read models.
//!
//! The module `openapi` has the OpenAPI schemas of these types.

// A new event or status must break the build wherever it matters.
#![warn(clippy::wildcard_enum_match_arm)]

use cqrs::{Domain, ReadModel, ReadModels};

pub mod dashboard;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod order;
pub mod order_summary;
pub mod scope;

pub use dashboard::Dashboard;
pub use order::{Order, OrderCommand, OrderEvent, OrderRejection, Status};
pub use order_summary::{ListedOrder, OrderSummaries, OrderSummary};

/// The order domain. Declares its read models for the projector, maintenance and the tests.
#[derive(Clone, Copy, Debug)]
pub struct Orders;

impl Domain for Orders {
    fn read_models<M: ReadModels>(models: M) -> M {
        models.add(ReadModel::<OrderSummaries>::new().rollup::<Dashboard>())
    }
}

#[cfg(test)]
mod tests {
    use cqrs::read_model::{DeclaredTables, TableKind};

    use super::*;

    #[test]
    fn the_read_models_have_a_table_of_views_and_one_of_counters() {
        let tables = Orders::read_models(DeclaredTables::default()).check().unwrap();
        let views = ("order-summaries", TableKind::Views { key: "order_id" });
        assert_eq!(tables.into_iter().collect::<Vec<_>>(), [("dashboard", TableKind::Counters), views]);
    }
}
