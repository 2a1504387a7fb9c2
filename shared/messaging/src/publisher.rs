//! Projectors that publish events.

use std::sync::Arc;

use app::App;
use cqrs::{Domain, read_model::DeclaredTables};
use cqrs_dynamodb::{Projector, StoreError};

use crate::EventBus;

/// Builds a projector of all publications of the domain. It sends the public events to the app's bus.
///
/// # Errors
/// [`StoreError::Bug`] if declarations collide, the function does not declare a table, or there is a publication and
/// the bus is not configured.
pub fn publisher<D: Domain>(app: &App) -> Result<Projector, StoreError> {
    let builder = app.projector_builder()?;
    if D::publications(DeclaredTables::default()).check()?.is_empty() {
        return builder.build().map_err(StoreError::bug);
    }
    publisher_to::<D>(app, EventBus::new(app, None).map_err(StoreError::bug)?)
}

/// Like [`publisher`], with this bus.
///
/// # Errors
/// [`StoreError::Bug`] if declarations collide, or the function does not declare a table.
pub fn publisher_to<D: Domain>(app: &App, bus: EventBus) -> Result<Projector, StoreError> {
    D::publications(app.projector_builder()?.publish_to(Arc::new(bus))).build().map_err(StoreError::bug)
}

/// Builds a projector of all read models and publications of the domain. Without a configured bus, it verifies
/// publications, but does not catch them up.
///
/// # Errors
/// Those of [`publisher`], except for a bus that is not configured.
pub fn projector_of_all<D: Domain>(app: &App) -> Result<Projector, StoreError> {
    let builder = D::read_models(app.projector_builder()?);
    let builder = match EventBus::new(app, None) {
        Ok(bus) => builder.publish_to(Arc::new(bus)),
        Err(_) => builder,
    };
    D::publications(builder).build().map_err(StoreError::bug)
}
