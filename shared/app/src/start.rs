//! What a function works with, from its environment or from a test.

use std::{convert::Infallible, env};

use axum::extract::FromRequestParts;
use cqrs::StreamId;
use cqrs_dynamodb::{Dynamo, Environment, EventStore};
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

/// How long a warm-up may take, with the reserve of an answer.
const WARM_UP: SignedDuration = SignedDuration::from_millis(2500);

/// A day in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// What a function works with.
#[derive(Clone, Debug)]
pub struct App {
    /// The client, the clock and the chance.
    pub dynamo: Dynamo,
    /// What the tables are called.
    pub tables: TableNames,
    /// Where metrics go.
    pub metrics: Metrics,
    /// Where parts of traces go.
    pub x_ray: XRay,
}

impl App {
    /// What `main` starts with: logs as lines of JSON, settings from the environment.
    ///
    /// # Errors
    /// The name of a setting that is missing or malformed.
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

    /// The event store.
    pub fn events(&self) -> EventStore {
        EventStore::new(self.dynamo.clone(), self.tables.events.clone())
    }

    /// Opens the connection to DynamoDB while Lambda starts the function at full speed: one read unit.
    ///
    /// A failure is none of the start's: the first request will meet it and say so.
    pub async fn warm_up(&self) {
        if let Ok(nobody) = StreamId::try_from("warm-up#0".to_owned()) {
            let _ = self.for_warm_up().events().load_after(&nobody, cqrs::Version::NONE).await;
        }
    }

    /// The same, with the little time that a start may take: Lambda ends one after ten seconds.
    #[must_use]
    pub fn for_warm_up(&self) -> Self {
        let soon = self.dynamo.environment.now() + WARM_UP;
        Self { dynamo: self.dynamo.with_deadline(soon), ..self.clone() }
    }

    /// The same, for an invocation that ends at `deadline_ms`, in milliseconds since 1970, as Lambda gives it.
    ///
    /// `cargo lambda watch` gives how long it is until then (600,000) in its place. No function ran on the first day of
    /// 1970, so what is less than a day is taken for that.
    #[must_use]
    pub fn with_deadline(&self, deadline_ms: u64) -> Self {
        let given = i64::try_from(deadline_ms).ok();
        let deadline = match given {
            Some(left) if deadline_ms < DAY_MS => {
                Some(self.dynamo.environment.now() + SignedDuration::from_millis(left))
            }
            Some(at) => Timestamp::from_millisecond(at).ok(),
            None => None,
        };
        match deadline {
            Some(deadline) => Self { dynamo: self.dynamo.with_deadline(deadline), ..self.clone() },
            None => self.clone(),
        }
    }
}

/// The [`App`] with the deadline of this invocation.
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
