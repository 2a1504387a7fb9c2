//! Builds a projector from the read models that domains declare.

use std::{collections::BTreeMap, sync::Arc};

use cqrs::{
    DeclarationError, Projection, ReadModel, ReadModels,
    read_model::{DeclaredTables, TableKind},
};

use super::{HandleProjection, Projector, handler::ProjectionHandler, publish::EventSink};
use crate::{CountersTable, EventStore, StoreError, Views};

/// Builds a [`Projector`]. A domain adds its read models with `Domain::read_models(builder)`; several domains may add
/// theirs to one builder.
pub struct ProjectorBuilder<T> {
    events: EventStore,
    deployed_table: T,
    sink: Option<Arc<dyn EventSink>>,
    declared: DeclaredTables,
    handlers: Vec<Box<dyn HandleProjection>>,
    tables: BTreeMap<&'static str, Arc<str>>,
    error: Option<DeclarationError>,
}

impl Projector {
    /// Starts a projector of the commits in `events`. `deployed_table` returns the name of the deployed table for the
    /// name of a declared one.
    ///
    /// ```no_run
    /// # use std::{collections::BTreeMap, sync::Arc};
    /// # use cqrs::{DeclarationError, Domain};
    /// # use cqrs_dynamodb::{EventStore, Projector};
    /// fn projector<D: Domain>(
    ///     events: EventStore,
    ///     tables: &BTreeMap<&'static str, Arc<str>>,
    /// ) -> Result<Projector, DeclarationError> {
    ///     D::read_models(Projector::builder(events, |name| tables.get(name).cloned())).build()
    /// }
    /// ```
    pub fn builder<T: Fn(&'static str) -> Option<Arc<str>>>(
        events: EventStore,
        deployed_table: T,
    ) -> ProjectorBuilder<T> {
        ProjectorBuilder {
            events,
            deployed_table,
            sink: None,
            declared: DeclaredTables::default(),
            handlers: Vec::new(),
            tables: BTreeMap::new(),
            error: None,
        }
    }
}

impl<T: Fn(&'static str) -> Option<Arc<str>>> ReadModels for ProjectorBuilder<T> {
    fn add<P: Projection>(mut self, model: ReadModel<P>) -> Self {
        self.declared.declare(&model);
        match self.handler(model) {
            Ok(handler) => self.handlers.push(Box::new(handler)),
            Err(error) => drop(self.error.get_or_insert(error)),
        }
        self
    }
}

impl<T: Fn(&'static str) -> Option<Arc<str>>> ProjectorBuilder<T> {
    /// Sets the receiver of the public events, before publications are added. Without a receiver, publications are
    /// verified, but not caught up.
    #[must_use]
    pub fn publish_to(self, sink: Arc<dyn EventSink>) -> Self {
        Self { sink: Some(sink), ..self }
    }

    /// Returns the projector.
    ///
    /// # Errors
    /// The first [`DeclarationError`]: a name that is declared twice, or a declared table without a deployed one. A
    /// function should build its projector once at its start, so that such a mistake stops the function there.
    pub fn build(self) -> Result<Projector, DeclarationError> {
        let declared = self.declared.check()?;
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut deployed = BTreeMap::new();
        for (name, table) in &self.tables {
            if let Some(other) = deployed.insert(table, *name) {
                return Err(DeclarationError::SameTable(other, name));
            }
        }
        let counters = self.tables.iter().filter(|(name, _)| declared.get(*name) == Some(&TableKind::Counters));
        let counters = counters.map(|(name, table)| (*name, counters_table(&self.events, table))).collect();
        Ok(Projector { events: self.events, handlers: self.handlers, counters })
    }

    fn handler<P: Projection>(&mut self, model: ReadModel<P>) -> Result<ProjectionHandler<P>, DeclarationError> {
        let views = Views::new(self.events.dynamo().clone(), self.table(P::NAME)?);
        let mut counters = BTreeMap::new();
        let rollups = model.rollups().iter().map(|rollup| rollup.table);
        for name in rollups.chain(model.tallies().iter().map(|tally| tally.table)) {
            let table = self.table(name)?;
            counters.insert(name, counters_table(&self.events, &table));
        }
        let rows = model.declared_rows().iter().map(|rows| Ok((rows.name, self.table(rows.name)?)));
        let rows = rows.collect::<Result<_, DeclarationError>>()?;
        let sink = self.sink.clone().filter(|_| model.publication().is_some());
        Ok(ProjectionHandler { model, views, counters, rows, sink })
    }

    fn table(&mut self, name: &'static str) -> Result<Arc<str>, DeclarationError> {
        let table = (self.deployed_table)(name).ok_or(DeclarationError::NoTable(name))?;
        self.tables.insert(name, Arc::clone(&table));
        Ok(table)
    }
}

fn counters_table(events: &EventStore, table: &Arc<str>) -> CountersTable {
    CountersTable::new(events.dynamo().clone(), Arc::clone(table))
}

impl From<DeclarationError> for StoreError {
    fn from(error: DeclarationError) -> Self {
        Self::bug(error)
    }
}
