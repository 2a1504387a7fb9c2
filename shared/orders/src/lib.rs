//! The order domain, pure: the rules of an order and its read models. Read it in this order:
//!
//! 1. [`order`]: the aggregate with its commands, events and rules, and their values.
//! 2. [`order_summary`]: the view of an order, and its row in a customer's list.
//! 3. [`dashboard`]: the counters over all orders.
//! 4. [`shipping_deadline`]: the process that cancels an order that is not shipped in time.
//! 5. [`public`]: the events that other systems hear of.
//! 6. [`scope`]: the permissions of callers.
//! 7. [`Orders`]: declares the read models and the publication.
//!
//! The module `openapi` has the OpenAPI schemas of these types.

// A new event or status must break the build wherever it matters.
#![warn(clippy::wildcard_enum_match_arm)]

use cqrs::{Domain, Published, ReadModel, ReadModels};

pub mod dashboard;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod order;
pub mod order_summary;
pub mod public;
pub mod scope;
pub mod shipping_deadline;

pub use dashboard::Dashboard;
pub use order::{Order, OrderCommand, OrderEvent, OrderRejection, Status};
pub use order_summary::{ListedOrder, OrderSummaries, OrderSummary};
pub use public::{OrderPublication, PublicOrderEvent};
pub use shipping_deadline::{ShippingDeadline, ShippingTimers, reminders::ShippingReminders};

/// The order domain. Declares its read models and its publication for the projector, the publisher, maintenance and the
/// tests.
#[derive(Clone, Copy, Debug)]
pub struct Orders;

impl Domain for Orders {
    fn read_models<M: ReadModels>(models: M) -> M {
        models.add(ReadModel::<OrderSummaries>::new().rollup::<Dashboard>()).add(ReadModel::<ShippingTimers>::new())
    }

    fn publications<M: ReadModels>(models: M) -> M {
        models
            .add(ReadModel::<Published<OrderPublication>>::publishing())
            .add(ReadModel::<Published<ShippingReminders>>::publishing())
    }
}

#[cfg(test)]
mod tests {
    use cqrs::read_model::{DeclaredTables, TableKind};

    use super::*;

    #[test]
    fn the_read_models_have_tables_of_views_and_one_of_counters() {
        let tables = Orders::read_models(DeclaredTables::default()).check().unwrap();
        let views = ("order-summaries", TableKind::Views { key: "order_id" });
        let timers = ("shipping-timers", TableKind::Views { key: "instance" });
        assert_eq!(tables.into_iter().collect::<Vec<_>>(), [("dashboard", TableKind::Counters), views, timers]);
    }

    #[test]
    fn each_publication_has_a_table_of_positions_and_a_name_of_its_own() {
        let tables = Orders::publications(DeclaredTables::default()).check().unwrap();
        let positions = |name| (name, TableKind::Views { key: "stream_key" });
        let expected = [positions("order-publication"), positions("shipping-reminders")];
        assert_eq!(tables.into_iter().collect::<Vec<_>>(), expected);
        assert!(Orders::publications(Orders::read_models(DeclaredTables::default())).check().is_ok());
    }
}
