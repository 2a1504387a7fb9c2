//! A DynamoDB: embedded in this process, or elsewhere.
//!
//! This crate alone knows that there are others than Amazon's. What the embedded one does not do as AWS does is listed
//! in `docs/adr/0006-embedded-engine-for-the-local-stack.md`.

mod empty_maps;
mod in_process;
pub mod interceptor;
mod storage;

use std::{path::Path, sync::Arc};

use app::{Settings, client};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::tls::TrustStore;
use cqrs_dynamodb::{Dynamo, Environment};
use serde_json::Value;
use tokio::net::TcpListener;

use self::{
    empty_maps::EmptyMaps,
    in_process::InProcess,
    interceptor::{Call, InterceptedClient, Interceptor},
};

/// A DynamoDB, behind an unmodified SDK.
#[derive(Clone)]
pub struct Engine {
    location: EngineLocation,
    interceptor: Option<Arc<dyn Interceptor>>,
}

/// Where it is.
#[derive(Clone)]
enum EngineLocation {
    /// In this process.
    Embedded(InProcess),
    /// At this URL.
    Remote(String),
}

impl Engine {
    /// An empty engine in memory.
    ///
    /// # Errors
    /// What the engine says.
    pub fn embedded() -> Result<Self, String> {
        Ok(Self::at(EngineLocation::Embedded(storage::in_memory()?)))
    }

    /// An empty engine in memory whose clock stands still at this time, in seconds since 1970.
    ///
    /// # Errors
    /// What the engine says.
    pub fn embedded_at(seconds: u64) -> Result<Self, String> {
        Ok(Self::at(EngineLocation::Embedded(storage::in_memory_at(seconds)?)))
    }

    /// The engine whose data is in this directory, which is made if there is none.
    ///
    /// # Errors
    /// What the engine says.
    pub fn embedded_in(directory: &Path) -> Result<Self, String> {
        Ok(Self::at(EngineLocation::Embedded(storage::on_disk(directory)?)))
    }

    /// The one at this URL.
    pub fn remote(url: impl Into<String>) -> Self {
        Self::at(EngineLocation::Remote(url.into()))
    }

    fn at(location: EngineLocation) -> Self {
        Self { location, interceptor: None }
    }

    /// The same engine, with `interceptor` between the SDK and it.
    #[must_use]
    pub fn with_interceptor(&self, interceptor: Arc<dyn Interceptor>) -> Self {
        Self { location: self.location.clone(), interceptor: Some(interceptor) }
    }

    /// The same engine, with nothing in between.
    #[must_use]
    pub fn direct(&self) -> Self {
        Self::at(self.location.clone())
    }

    /// The client of tables, as the functions have it.
    pub fn dynamo(&self, settings: &Settings, environment: Environment) -> Dynamo {
        Dynamo::new(client::client_over(settings, self.transport()), environment)
    }

    /// What the embedded engine answers to the call, at once and past any interceptor; `None` if it refuses, or is elsewhere.
    pub fn call_directly(&self, call: &Call) -> Option<Value> {
        match &self.location {
            EngineLocation::Embedded(engine) => in_process::call_engine(&engine.database, call).ok(),
            EngineLocation::Remote(_) => None,
        }
    }

    /// Makes the embedded engine as fast at scanning this table as others are: see `storage::index`.
    ///
    /// # Errors
    /// What the engine says.
    pub fn index(&self, table: &str) -> Result<(), String> {
        match &self.location {
            EngineLocation::Embedded(InProcess { name: Some(name), .. }) => storage::index(name, table),
            EngineLocation::Embedded(_) | EngineLocation::Remote(_) => Ok(()),
        }
    }

    /// The client of streams, as Lambda has it: no interceptor of a test leads there.
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        let config = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("local"))
            .credentials_provider(Credentials::new("local", "local", None, None, "local"))
            .endpoint_url(self.endpoint())
            .http_client(self.with_interceptor(Arc::new(EmptyMaps)).transport());
        aws_sdk_dynamodbstreams::Client::from_conf(config.build())
    }

    fn transport(&self) -> SharedHttpClient {
        let transport = match &self.location {
            EngineLocation::Embedded(engine) => SharedHttpClient::new(engine.clone()),
            EngineLocation::Remote(_) => client::https(TrustStore::default()),
        };
        match &self.interceptor {
            Some(interceptor) => {
                SharedHttpClient::new(InterceptedClient { transport, interceptor: Arc::clone(interceptor) })
            }
            None => transport,
        }
    }

    /// Where it is, as a URL; the embedded one is nowhere on the network by itself.
    pub fn endpoint(&self) -> &str {
        match &self.location {
            EngineLocation::Embedded(_) => "http://in-process",
            EngineLocation::Remote(url) => url,
        }
    }

    /// Whether it is in this process.
    pub fn is_embedded(&self) -> bool {
        matches!(self.location, EngineLocation::Embedded(_))
    }

    /// Serves the embedded engine on `listener`, for the AWS CLI and table viewers, until the task is dropped.
    pub async fn serve(&self, listener: TcpListener) {
        if let EngineLocation::Embedded(InProcess { database, .. }) = &self.location {
            // Nobody waits for the viewers: their server goes when the process goes.
            let _ = dynoxide::server::serve_with_shutdown(listener, database.clone(), std::future::pending()).await;
        }
    }
}
