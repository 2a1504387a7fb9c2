//! The declaration of the order domain.

use cqrs::{Domain, ReadModel, ReadModels};

use crate::{Dashboard, Order, OrderSummaries};

/// The order domain. The projector, maintenance and the tests get its read models from here.
#[derive(Clone, Copy, Debug)]
pub struct Orders;

impl Domain for Orders {
    type Aggregate = Order;

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
