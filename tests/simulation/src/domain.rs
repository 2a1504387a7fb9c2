//! The simulated domain: its projections, and the category of its streams. Its commands are in [`commands`] and its
//! queries in [`clients`].
//!
//! [`commands`]: crate::commands
//! [`clients`]: crate::clients

use app::TableNames;
use cqrs::Event;
use orders::{Dashboard, OrderEvent, OrderSummaries};

use crate::view_models::ViewModel;

/// The category of the streams that the clients command.
pub const CATEGORY: &str = OrderEvent::CATEGORY;

/// The models of all projections.
pub fn view_models(tables: &TableNames) -> Vec<ViewModel> {
    vec![ViewModel::of::<OrderSummaries, Dashboard>(tables.order_summaries.clone(), tables.dashboard.clone())]
}
