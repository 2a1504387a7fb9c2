//! A DynamoDB: embedded in this process, or elsewhere.
//!
//! This crate alone knows that there are others than Amazon's. What the embedded one does not do as AWS does is listed
//! in `docs/adr/0006-embedded-engine-for-the-local-stack.md`.

pub mod in_process;
mod storage;

use std::{path::Path, sync::Arc};

use app::{Settings, client};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::tls::TrustStore;
use cqrs_dynamodb::{Ambient, Dynamo};
use tokio::net::TcpListener;

use self::in_process::{InProcess, Wire};

/// A DynamoDB.
#[derive(Clone)]
pub enum Engine {
    /// In this process and in memory, behind an unmodified SDK.
    Embedded(InProcess),
    /// At this URL.
    Elsewhere(String),
}

impl Engine {
    /// An empty engine in memory.
    ///
    /// # Errors
    /// What the engine says.
    pub fn embedded() -> Result<Self, String> {
        Ok(Self::Embedded(InProcess::new(storage::in_memory()?)))
    }

    /// The engine whose data is in this directory, which is made if there is none.
    ///
    /// # Errors
    /// What the engine says.
    pub fn embedded_in(directory: &Path) -> Result<Self, String> {
        Ok(Self::Embedded(InProcess::new(storage::on_disk(directory)?)))
    }

    /// The same engine, with `wire` between the SDK and it; one that is elsewhere stays as it is.
    #[must_use]
    pub fn over(&self, wire: Arc<dyn Wire>) -> Self {
        match self {
            Self::Embedded(engine) => Self::Embedded(engine.over(wire)),
            Self::Elsewhere(url) => Self::Elsewhere(url.clone()),
        }
    }

    /// The client of tables, as the functions have it.
    pub fn dynamo(&self, settings: &Settings, ambient: Ambient) -> Dynamo {
        let client = match self {
            Self::Embedded(engine) => client::client_over(settings, SharedHttpClient::new(engine.clone())),
            Self::Elsewhere(_) => client::client(settings),
        };
        Dynamo::new(client, ambient)
    }

    /// The client of streams, as Lambda has it.
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        let config = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("local"))
            .credentials_provider(Credentials::new("local", "local", None, None, "local"))
            .endpoint_url(self.endpoint());
        let config = match self {
            Self::Embedded(engine) => config.http_client(engine.without_wire()),
            Self::Elsewhere(_) => config.http_client(client::https(TrustStore::default())),
        };
        aws_sdk_dynamodbstreams::Client::from_conf(config.build())
    }

    /// Where it is, as a URL; the embedded one is nowhere on the network by itself.
    pub fn endpoint(&self) -> &str {
        match self {
            Self::Embedded(_) => "http://in-process",
            Self::Elsewhere(url) => url,
        }
    }

    /// Serves the embedded engine on `listener`, for the AWS CLI and table viewers, until the task is dropped.
    pub async fn serve(&self, listener: TcpListener) {
        if let Self::Embedded(engine) = self {
            // Nobody waits for the viewers: their server goes when the process goes.
            let _ = dynoxide::server::serve_with_shutdown(listener, engine.database(), std::future::pending()).await;
        }
    }
}
