//! Read models: a domain declares its projections, rollups, tallies and rows once. The projector, maintenance and the
//! tests use this declaration.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    Commit, Projection, PublicRecord, Publication, Published, Rollup, Rows, Tally,
    rollup::DeclaredRollup,
    rows::{self, DeclaredRows},
    tally::DeclaredTally,
};

/// Declares the read models and the publications of a domain, or of several.
pub trait Domain {
    /// Adds all read models to `models`, and returns it.
    fn read_models<M: ReadModels>(models: M) -> M;

    /// Adds all publications to `models`, and returns it: a publication is a read model that stores positions.
    fn publications<M: ReadModels>(models: M) -> M {
        models
    }
}

/// Receives the read models of a domain. A visitor, because its users need the types of the projections.
pub trait ReadModels: Sized {
    #[must_use]
    fn add<P: Projection>(self, model: ReadModel<P>) -> Self;
}

/// A projection with its rollups, tallies and rows.
pub struct ReadModel<P: Projection> {
    rollups: Vec<DeclaredRollup<P::View>>,
    tallies: Vec<DeclaredTally<P::Event>>,
    rows: Vec<DeclaredRows<P::View>>,
    publication: Option<PublicRecords<P>>,
}

/// Returns the public events of a commit, from the view before it.
pub type PublicRecords<P> = fn(
    Option<&<P as Projection>::View>,
    &Commit<<P as Projection>::Event>,
) -> Result<Vec<PublicRecord>, serde_json::Error>;

/// A table of a read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadTable {
    pub name: &'static str,
    pub kind: TableKind,
}

/// The kind of a table: it determines the table's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableKind {
    /// One item per view, with the partition key `key`.
    Views { key: &'static str },
    /// Counters, by shard and row.
    Counters,
    /// Rows, by partition and sort key.
    Rows,
}

impl<P: Projection> ReadModel<P> {
    /// Declares a projection without rollups, tallies and rows.
    #[must_use]
    pub fn new() -> Self {
        Self { rollups: Vec::new(), tallies: Vec::new(), rows: Vec::new(), publication: None }
    }

    /// Adds a rollup over the views.
    #[must_use]
    pub fn rollup<R: Rollup<Projection = P>>(mut self) -> Self {
        self.rollups.push(DeclaredRollup { name: R::NAME, table: R::TABLE, contribution: R::contribution });
        self
    }

    /// Adds a tally of the events.
    #[must_use]
    pub fn tally<T: Tally<Projection = P>>(mut self) -> Self {
        self.tallies.push(DeclaredTally { name: T::NAME, table: T::TABLE, count: T::count });
        self
    }

    /// Adds rows of the views.
    #[must_use]
    pub fn rows<R: Rows<Projection = P>>(mut self) -> Self {
        self.rows.push(DeclaredRows { name: R::NAME, rows: rows::serialize::<R> });
        self
    }

    pub fn rollups(&self) -> &[DeclaredRollup<P::View>] {
        &self.rollups
    }

    pub fn tallies(&self) -> &[DeclaredTally<P::Event>] {
        &self.tallies
    }

    pub fn declared_rows(&self) -> &[DeclaredRows<P::View>] {
        &self.rows
    }

    /// Returns the function that lists the public events of a commit, if the read model belongs to a publication.
    pub fn publication(&self) -> Option<PublicRecords<P>> {
        self.publication
    }

    /// Returns the names of the tables of counters.
    pub fn counters_tables(&self) -> BTreeSet<&'static str> {
        let rollups = self.rollups.iter().map(|rollup| rollup.table);
        rollups.chain(self.tallies.iter().map(|tally| tally.table)).collect()
    }

    /// Returns the names of the projection and of its rollups, tallies and rows.
    pub fn names(&self) -> Vec<&'static str> {
        let rollups = self.rollups.iter().map(|rollup| rollup.name);
        let tallies = self.tallies.iter().map(|tally| tally.name);
        [P::NAME].into_iter().chain(rollups).chain(tallies).chain(self.rows.iter().map(|rows| rows.name)).collect()
    }

    /// Returns the tables: that of the views, which has the name of the projection, and those of counters and rows.
    pub fn tables(&self) -> BTreeSet<ReadTable> {
        let mut tables = BTreeSet::from([ReadTable { name: P::NAME, kind: TableKind::Views { key: P::KEY } }]);
        tables.extend(self.counters_tables().into_iter().map(|name| ReadTable { name, kind: TableKind::Counters }));
        tables.extend(self.rows.iter().map(|rows| ReadTable { name: rows.name, kind: TableKind::Rows }));
        tables
    }
}

impl<P: Publication> ReadModel<Published<P>> {
    /// Declares a publication.
    #[must_use]
    pub fn publishing() -> Self {
        Self { publication: Some(PublicRecord::of::<P>), ..Self::new() }
    }
}

impl<P: Projection> Default for ReadModel<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// A mistake in the declared read models, or in the deployed tables for them. The code or the deployment must change.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationError {
    /// Two of all projections, rollups, tallies and rows have the same name.
    #[error("the name {0} is declared twice")]
    NameDeclaredTwice(&'static str),
    /// A table of views, for example, is also declared as one of counters.
    #[error("the table {0} is declared for two kinds of content")]
    TableOfTwoKinds(&'static str),
    #[error("no deployed table is known for {0}")]
    NoTable(&'static str),
    #[error("{0} and {1} have the same deployed table")]
    SameTable(&'static str, &'static str),
}

/// `main` prints its error with `Debug`, so this is the readable message.
impl fmt::Debug for DeclarationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Collects the declared tables of any number of domains, and checks that no two declarations collide.
///
/// ```
/// # use cqrs::{Domain, read_model::DeclaredTables};
/// fn tables<D: Domain>() -> Vec<&'static str> {
///     let tables = D::read_models(DeclaredTables::default()).check();
///     tables.unwrap_or_default().into_keys().collect()
/// }
/// ```
#[derive(Debug, Default)]
pub struct DeclaredTables {
    names: BTreeSet<&'static str>,
    tables: BTreeMap<&'static str, TableKind>,
    error: Option<DeclarationError>,
}

impl ReadModels for DeclaredTables {
    fn add<P: Projection>(mut self, model: ReadModel<P>) -> Self {
        self.declare(&model);
        self
    }
}

impl DeclaredTables {
    /// Adds the names and tables of a read model.
    pub fn declare<P: Projection>(&mut self, model: &ReadModel<P>) {
        for name in model.names() {
            if !self.names.insert(name) {
                self.error.get_or_insert(DeclarationError::NameDeclaredTwice(name));
            }
        }
        for ReadTable { name, kind } in model.tables() {
            if *self.tables.entry(name).or_insert(kind) != kind {
                self.error.get_or_insert(DeclarationError::TableOfTwoKinds(name));
            }
        }
    }

    /// Returns the tables by name.
    ///
    /// # Errors
    /// The first [`DeclarationError`].
    pub fn check(self) -> Result<BTreeMap<&'static str, TableKind>, DeclarationError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.tables),
        }
    }
}

#[cfg(test)]
mod tests;
