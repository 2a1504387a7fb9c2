//! The dependencies of a function: clients, table names and telemetry.

use std::{convert::Infallible, env};

use axum::extract::FromRequestParts;
use cqrs::{DeclarationError, Domain, StreamId};
use cqrs_dynamodb::{Dynamo, Environment, EventStore, Projector};
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use lambda_http::RequestExt;
use tracing_subscriber::filter::LevelFilter;

use crate::{
    Metrics, Settings, TableNames,
    client::client,
    settings::{self, SettingError},
    trace::XRay,
};

/// The time limit of a warm-up, including the half second that [`Dynamo`] reserves before a deadline.
const WARM_UP: SignedDuration = SignedDuration::from_millis(2500);

const DAY_MS: u64 = 86_400_000;

/// The dependencies of a function, shared by its invocations.
#[derive(Clone, Debug)]
pub struct App {
    pub dynamo: Dynamo,
    pub tables: TableNames,
    pub metrics: Metrics,
    pub x_ray: XRay,
}

impl App {
    /// Builds the app of a deployed function from environment variables, and sets up logging as JSON lines.
    ///
    /// # Errors
    /// The first environment variable that is missing or malformed.
    pub fn from_env() -> Result<Self, SettingError> {
        tracing_subscriber::fmt().json().with_max_level(LevelFilter::INFO).without_time().init();
        let variable = |name| env::var(name).ok();
        settings::check_lambda_variables(variable)?;
        let settings = Settings::read(variable)?;
        Ok(Self {
            dynamo: Dynamo::new(client(&settings), Environment::system()),
            metrics: settings.metrics_namespace.map_or_else(Metrics::none, Metrics::to_stdout),
            x_ray: XRay::at(settings.x_ray_daemon),
            tables: settings.tables,
        })
    }

    pub fn events(&self) -> EventStore {
        EventStore::new(self.dynamo.clone(), self.tables.events.clone())
    }

    /// Builds the projector of all read models that the domain declares.
    ///
    /// # Errors
    /// [`DeclarationError`], if declarations collide or a declared table has no deployed one. A function builds the
    /// projector once at its start, so that such a mistake stops the function there.
    pub fn projector<D: Domain>(&self) -> Result<Projector, DeclarationError> {
        D::read_models(Projector::builder(self.events(), |name| self.tables.deployed(name))).build()
    }

    /// Opens the connection to DynamoDB during Lambda's init phase, which has full CPU. Costs one read unit.
    ///
    /// Errors are ignored: if the cause persists, the first request fails and logs it.
    pub async fn warm_up(&self) {
        if let Ok(unused_stream) = StreamId::try_from("warm-up#0".to_owned()) {
            let _ = self.for_warm_up().events().load_after(&unused_stream, cqrs::Version::NONE).await;
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

/// Extracts the [`App`] with the deadline of this invocation.
#[derive(Debug)]
pub struct WithDeadline(pub App);

impl FromRequestParts<App> for WithDeadline {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(match parts.lambda_context_ref() {
            Some(context) => app.with_deadline(context.deadline),
            None => app.clone(),
        }))
    }
}
