//! The dependencies of a function: clients, table names and telemetry.

use std::{convert::Infallible, env, sync::Arc};

use axum::extract::FromRequestParts;
use cqrs::{DeclarationError, Domain, Projection, Rows, StreamId, read_model::DeclaredTables};
use cqrs_dynamodb::{
    CountersTable, Dynamo, Environment, EventStore, Projector, ProjectorBuilder, Reader, RowsTable, StoreError, Views,
};
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    Aws, Metrics, Settings, Tables,
    client::{client_over, transport},
    settings::{self, SettingError},
    tables::EVENTS,
    trace::XRay,
};

/// The time limit of a warm-up, including the half second that [`Dynamo`] reserves before a deadline.
const WARM_UP: SignedDuration = SignedDuration::from_millis(2500);

const DAY_MS: u64 = 86_400_000;

/// The dependencies of a function, shared by its invocations.
#[derive(Clone, Debug)]
pub struct App {
    pub dynamo: Dynamo,
    pub tables: Tables,
    pub metrics: Metrics,
    pub x_ray: XRay,
    pub aws: Aws,
}

impl App {
    /// Builds the app of a deployed function with these tables from environment variables, and sets up logging as JSON
    /// lines.
    ///
    /// # Errors
    /// The first environment variable that is missing or malformed.
    pub fn from_env(tables: &[&'static str]) -> Result<Self, SettingError> {
        tracing_subscriber::fmt().json().with_max_level(LevelFilter::INFO).without_time().init();
        let variable = |name: &str| env::var(name).ok();
        settings::check_lambda_variables(variable)?;
        let settings = Settings::read(tables, variable)?;
        let transport = transport(&settings);
        Ok(Self {
            dynamo: Dynamo::new(client_over(&settings, transport.clone()), Environment::system()),
            aws: Aws::new(&settings, transport, variable),
            metrics: settings.metrics_namespace.map_or_else(Metrics::none, Metrics::to_stdout),
            x_ray: XRay::at(settings.x_ray_daemon),
            tables: settings.tables,
        })
    }

    /// Returns the event store.
    ///
    /// # Errors
    /// [`StoreError::Bug`] if the function does not declare its table, as for the other tables below.
    pub fn events(&self) -> Result<EventStore, StoreError> {
        Ok(EventStore::new(self.dynamo.clone(), self.tables.get(EVENTS)?))
    }

    /// Returns the views of `P`.
    ///
    /// # Errors
    /// [`StoreError::Bug`]
    pub fn views<P: Projection>(&self) -> Result<Views<P>, StoreError> {
        Ok(Views::new(self.dynamo.clone(), self.tables.get(P::NAME)?))
    }

    /// Returns the reader of single views of `P`.
    ///
    /// # Errors
    /// [`StoreError::Bug`]
    pub fn reader<P: Projection>(&self) -> Result<Reader<P>, StoreError> {
        Ok(Reader::new(self.views()?, self.events()?))
    }

    /// Returns the counters in the table `name`.
    ///
    /// # Errors
    /// [`StoreError::Bug`]
    pub fn counters(&self, name: &str) -> Result<CountersTable, StoreError> {
        Ok(CountersTable::new(self.dynamo.clone(), self.tables.get(name)?))
    }

    /// Returns the rows `R`.
    ///
    /// # Errors
    /// [`StoreError::Bug`]
    pub fn rows<R: Rows>(&self) -> Result<RowsTable<R>, StoreError> {
        Ok(RowsTable::new(self.dynamo.clone(), self.tables.get(R::NAME)?))
    }

    /// Returns a copy that sees only these tables.
    #[must_use]
    pub fn with_tables(&self, declared: &[&str]) -> Self {
        Self { tables: self.tables.only(declared), ..self.clone() }
    }

    /// Builds the projector of all read models that the domain declares.
    ///
    /// # Errors
    /// If declarations collide, or the function does not declare a table. A function builds its projector once at its
    /// start, so that such a mistake stops the function there.
    pub fn projector<D: Domain>(&self) -> Result<Projector, StoreError> {
        D::read_models(self.projector_builder()?).build().map_err(StoreError::bug)
    }

    /// Starts a projector without read models.
    ///
    /// # Errors
    /// [`StoreError::Bug`]
    pub fn projector_builder(&self) -> Result<ProjectorBuilder<impl Fn(&'static str) -> Option<Arc<str>>>, StoreError> {
        Ok(Projector::builder(self.events()?, |name| self.tables.get(name).ok()))
    }

    /// Opens the connection to DynamoDB during Lambda's init phase, which has full CPU. Costs one read unit.
    ///
    /// Errors are ignored: if the cause persists, the first request fails and logs it.
    pub async fn warm_up(&self) {
        let unused_stream = StreamId::try_from("warm-up#0".to_owned());
        if let (Ok(stream), Ok(events)) = (unused_stream, self.for_warm_up().events()) {
            let _ = events.load_stored(&stream).await;
        }
    }

    /// Opens the connection to DynamoDB by reading from a table of counters. Costs two read units per shard. Ignores
    /// errors, like [`warm_up`](Self::warm_up).
    pub(crate) async fn warm_up_counters(&self, table: &str) {
        if let Ok(counters) = self.for_warm_up().counters(table) {
            let _ = counters.row("warm-up").await;
        }
    }

    /// Returns a copy with the deadline of a warm-up, because Lambda aborts the init phase after ten seconds.
    #[must_use]
    pub fn for_warm_up(&self) -> Self {
        let deadline = self.dynamo.environment.now() + WARM_UP;
        Self { dynamo: self.dynamo.with_deadline(deadline), ..self.clone() }
    }

    /// Returns a copy for an invocation that ends at `deadline_ms`, in milliseconds since 1970, as Lambda passes it.
    ///
    /// `cargo lambda watch` passes the remaining time (600,000) instead. So a value below one day counts as remaining
    /// time: no real deadline is on the first day of 1970.
    #[must_use]
    pub fn with_deadline(&self, deadline_ms: u64) -> Self {
        let deadline = match i64::try_from(deadline_ms) {
            Ok(remaining) if deadline_ms < DAY_MS => {
                Some(self.dynamo.environment.now() + SignedDuration::from_millis(remaining))
            }
            Ok(since_epoch) => Timestamp::from_millisecond(since_epoch).ok(),
            Err(_) => None,
        };
        match deadline {
            Some(deadline) => Self { dynamo: self.dynamo.with_deadline(deadline), ..self.clone() },
            None => self.clone(),
        }
    }
}

/// The tables that a function uses, beside the event store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedTables {
    /// Only the event store.
    None,
    /// Those of all read models.
    ReadModels,
    /// Those with the positions of all publications.
    Publications,
    /// Those of all read models and publications.
    All,
}

/// Returns the declared tables of a function: the event store, and what it uses of `D`.
///
/// # Errors
/// [`DeclarationError`] if declarations collide.
pub fn tables<D: Domain>(used: UsedTables) -> Result<Vec<&'static str>, DeclarationError> {
    let declared = match used {
        UsedTables::None => DeclaredTables::default(),
        UsedTables::ReadModels => D::read_models(DeclaredTables::default()),
        UsedTables::Publications => D::publications(DeclaredTables::default()),
        UsedTables::All => D::publications(D::read_models(DeclaredTables::default())),
    };
    let declared = declared.check()?;
    if declared.contains_key(EVENTS) {
        return Err(DeclarationError::NameDeclaredTwice(EVENTS));
    }
    Ok([EVENTS].into_iter().chain(declared.into_keys()).collect())
}

/// Runs a function on Lambda that handles other events than HTTP requests: the only line of its `main`. `check` finds
/// mistakes in the declarations and settings. `handle` handles one event.
///
/// # Errors
/// The first environment variable that is missing or malformed, a mistake in the declarations, or an error of the
/// runtime.
pub fn run<D, E, A, F>(
    used: UsedTables,
    check: impl Fn(&App) -> Result<(), lambda_runtime::Error>,
    handle: impl Fn(App, LambdaEvent<E>) -> F,
) -> Result<(), lambda_runtime::Error>
where
    D: Domain,
    E: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A, lambda_runtime::Error>>,
{
    run_on(&tables::<D>(used)?, check, handle)
}

/// Runs a function on Lambda that uses these tables, with the event store among them. `check` finds mistakes in its
/// settings or declarations, which stop the function at its start. `handle` handles one event.
///
/// # Errors
/// The first environment variable that is missing or malformed, the error of `check`, or an error of the runtime.
pub fn run_on<E, A, F>(
    tables: &[&'static str],
    check: impl FnOnce(&App) -> Result<(), lambda_runtime::Error>,
    handle: impl Fn(App, LambdaEvent<E>) -> F,
) -> Result<(), lambda_runtime::Error>
where
    E: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A, lambda_runtime::Error>>,
{
    block_on(async {
        let app = App::from_env(tables)?;
        check(&app)?;
        app.warm_up().await;
        lambda_runtime::run(service_fn(|event| handle(app.clone(), event))).await
    })
}

/// Runs a function on the current thread: a Lambda execution environment handles one event at a time.
///
/// # Errors
/// The error of `function`, or of the runtime if it cannot start.
pub(crate) fn block_on(
    function: impl Future<Output = Result<(), lambda_runtime::Error>>,
) -> Result<(), lambda_runtime::Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(function)
}

/// Extracts the [`App`] with the deadline of this invocation.
#[derive(Debug)]
pub struct WithDeadline(pub App);

impl FromRequestParts<App> for WithDeadline {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(match parts.extensions.get::<Context>() {
            Some(context) => app.with_deadline(context.deadline),
            None => app.clone(),
        }))
    }
}
