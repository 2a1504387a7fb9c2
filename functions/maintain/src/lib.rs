//! What operators do with read models: rebuild them, hold them against the events, and set free what is parked.
//!
//! All of it may be done while the system is live, cut short at any point, and done again: everything goes through
//! [`Projector::catch_up`], whose writes are conditional. Nothing here writes an event.
//!
//! 1. [`rebuild`]: catches up all streams, in place.
//! 2. [`verify`]: holds views and sums against the events.
//! 3. [`redrive`]: tries parked streams again, or any.
//! 4. [`sweep`]: catches up what batches that were given up were about.
//! 5. [`segments`]: how all streams are gone through, side by side.
//!
//! The command line of it is `cargo operate`.

pub mod rebuild;
pub mod redrive;
pub mod segments;
pub mod sweep;
pub mod verify;

use app::App;
use cqrs_dynamodb::{Projector, SumsTable, Views};
use orders::{Dashboard, OrderSummaries};

/// All projections there are: those of the projector function, as a test sees to.
pub fn projector(app: &App) -> Projector {
    let order_summaries = Views::<OrderSummaries>::new(app.dynamo.clone(), app.tables.order_summaries.clone());
    let dashboard = SumsTable::new(app.dynamo.clone(), app.tables.dashboard.clone());
    Projector::new(app.events()).with_rollup::<OrderSummaries, Dashboard>(order_summaries, dashboard)
}
