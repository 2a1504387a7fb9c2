//! The DynamoDB of the stack: embedded in this process, or remote.
//!
//! Only this crate depends on an emulator. `docs/adr/0006-embedded-engine-for-the-local-stack.md` lists the differences
//! between the embedded engine and AWS.

pub mod call_keys;
mod empty_maps;
mod in_process;
pub mod interceptor;
mod storage;

use std::{collections::BTreeMap, env, path::Path, sync::Arc};

use app::{Settings, client};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::tls::TrustStore;
use cqrs_dynamodb::{Dynamo, Environment};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::messaging::emulator::MessagingEmulator;

use self::{
    empty_maps::EmptyMaps,
    in_process::InProcess,
    interceptor::{EngineCall, InterceptedClient, Interceptor},
};

/// A DynamoDB, called through the unmodified SDK.
#[derive(Clone)]
pub struct Engine {
    location: EngineLocation,
    /// The directory of the data of an embedded engine.
    directory: Option<Arc<Path>>,
    interceptor: Option<Arc<dyn Interceptor>>,
    /// Other services than those in this process.
    messaging: Option<MessagingEmulator>,
}

#[derive(Clone)]
enum EngineLocation {
    Embedded(InProcess),
    Remote(Remote),
}

/// A DynamoDB outside this process.
#[derive(Clone)]
struct Remote {
    /// The URL of the endpoint.
    url: String,
    /// The variables of [`Remote::VARIABLES`] that are set.
    variables: BTreeMap<&'static str, String>,
}

impl Remote {
    /// The environment variables that a remote DynamoDB may need, and those that [`Settings::read`] refuses with it.
    /// Without them, region and credentials are `local`.
    const VARIABLES: [&str; 6] = [
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_USE_DUALSTACK_ENDPOINT",
    ];

    fn new(url: String, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| Some((name, variable(name).filter(|value| !value.is_empty())?));
        Self { url, variables: Self::VARIABLES.into_iter().filter_map(set).collect() }
    }
}

impl Engine {
    /// An empty engine in memory.
    ///
    /// # Errors
    /// Fails with the engine's error.
    pub fn embedded() -> Result<Self, String> {
        Ok(Self::at(EngineLocation::Embedded(storage::in_memory()?)))
    }

    /// An empty engine in memory whose clock is fixed at `seconds` since 1970.
    ///
    /// # Errors
    /// Fails with the engine's error.
    pub fn embedded_at(seconds: u64) -> Result<Self, String> {
        Ok(Self::at(EngineLocation::Embedded(storage::in_memory_at(seconds)?)))
    }

    /// An engine with its data in `directory`. Creates the directory if it is missing.
    ///
    /// # Errors
    /// Fails with the engine's error.
    pub fn embedded_in(directory: &Path) -> Result<Self, String> {
        let location = EngineLocation::Embedded(storage::on_disk(directory)?);
        Ok(Self { directory: Some(directory.into()), ..Self::at(location) })
    }

    /// The DynamoDB at `url`. Region and credentials come from the environment variables that the AWS SDKs read.
    /// Without them, the region and the access key are `local`.
    pub fn remote(url: impl Into<String>) -> Self {
        Self::at(EngineLocation::Remote(Remote::new(url.into(), |name| env::var(name).ok())))
    }

    /// Returns the value of an environment variable for the client of this engine. The embedded engine needs none.
    pub fn variable(&self, name: &str) -> Option<&str> {
        match &self.location {
            EngineLocation::Embedded(_) => None,
            EngineLocation::Remote(remote) => remote.variables.get(name).map(String::as_str),
        }
    }

    fn at(location: EngineLocation) -> Self {
        Self { location, directory: None, interceptor: None, messaging: None }
    }

    /// Puts `interceptor` between the SDK and the engine. Replaces an earlier interceptor.
    #[must_use]
    pub fn with_interceptor(&self, interceptor: Arc<dyn Interceptor>) -> Self {
        Self { interceptor: Some(interceptor), ..self.clone() }
    }

    /// The engine without an interceptor.
    #[must_use]
    pub fn direct(&self) -> Self {
        Self { interceptor: None, ..self.clone() }
    }

    pub fn interceptor(&self) -> Option<Arc<dyn Interceptor>> {
        self.interceptor.clone()
    }

    /// Uses EventBridge, SQS and EventBridge Scheduler of `emulator`, if there is one.
    #[must_use]
    pub fn with_messaging(self, emulator: Option<MessagingEmulator>) -> Self {
        Self { messaging: emulator, ..self }
    }

    /// The emulator of EventBridge, SQS and EventBridge Scheduler. `None` if they are in this process.
    pub fn messaging(&self) -> Option<&MessagingEmulator> {
        self.messaging.as_ref()
    }

    /// The directory of the data. `None` if the engine is remote or in memory.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// The DynamoDB client of the functions, with their timeouts and retries.
    pub fn dynamo(&self, settings: &Settings, environment: Environment) -> Dynamo {
        Dynamo::new(client::client_over(settings, self.transport()), environment)
    }

    /// Calls the embedded engine without SDK, interceptor or await. `None` if the engine is remote or returns an error.
    pub fn call_directly(&self, call: &EngineCall) -> Option<Value> {
        match &self.location {
            EngineLocation::Embedded(engine) => in_process::call_engine(&engine.database, call).ok(),
            EngineLocation::Remote(_) => None,
        }
    }

    /// Adds the index that makes segmented scans of `table` fast in the embedded engine. See `storage::index`.
    ///
    /// # Errors
    /// Fails with the engine's error.
    pub fn index(&self, table: &str) -> Result<(), String> {
        match &self.location {
            EngineLocation::Embedded(InProcess { name: Some(name), .. }) => storage::index(name, table),
            EngineLocation::Embedded(_) | EngineLocation::Remote(_) => Ok(()),
        }
    }

    /// A client for the stream. Its calls bypass the interceptor of [`with_interceptor`](Self::with_interceptor).
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        let variable = |name| self.variable(name).unwrap_or("local").to_owned();
        let session_token = self.variable("AWS_SESSION_TOKEN").map(str::to_owned);
        let (key_id, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
        let config = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(variable("AWS_REGION")))
            .credentials_provider(Credentials::new(key_id, secret, session_token, None, "environment"))
            .endpoint_url(self.endpoint())
            .http_client(self.with_interceptor(Arc::new(EmptyMaps)).transport());
        aws_sdk_dynamodbstreams::Client::from_conf(config.build())
    }

    fn transport(&self) -> SharedHttpClient {
        let transport = match &self.location {
            EngineLocation::Embedded(engine) => SharedHttpClient::new(engine.clone()),
            EngineLocation::Remote(_) => client::https(TrustStore::default()),
        };
        self.intercept(transport)
    }

    /// Puts the interceptor of this engine, if it has one, before the transport of another service.
    pub(crate) fn intercept(&self, transport: SharedHttpClient) -> SharedHttpClient {
        match &self.interceptor {
            Some(interceptor) => {
                SharedHttpClient::new(InterceptedClient { transport, interceptor: Arc::clone(interceptor) })
            }
            None => transport,
        }
    }

    /// The URL of the engine. The embedded engine listens on no port unless [`serve`](Self::serve) runs.
    pub fn endpoint(&self) -> &str {
        match &self.location {
            EngineLocation::Embedded(_) => "http://in-process",
            EngineLocation::Remote(remote) => &remote.url,
        }
    }

    pub fn is_embedded(&self) -> bool {
        matches!(self.location, EngineLocation::Embedded(_))
    }

    /// Serves the embedded engine on `listener` until the task is dropped, for the AWS CLI and table viewers.
    pub async fn serve(&self, listener: TcpListener) {
        if let EngineLocation::Embedded(InProcess { database, .. }) = &self.location {
            // No graceful shutdown: the server ends with the process, and viewers lose nothing.
            let _ = dynoxide::server::serve_with_shutdown(listener, database.clone(), std::future::pending()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_engine_has_the_region_and_the_credentials_of_the_environment() {
        let set = [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", ""), ("HOME", "/root")];
        let variable = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let engine = Engine::at(EngineLocation::Remote(Remote::new("http://localhost:5000".to_owned(), variable)));
        assert_eq!(engine.variable("AWS_REGION"), Some("eu-west-1"));
        assert_eq!((engine.variable("AWS_ACCESS_KEY_ID"), engine.variable("HOME")), (None, None));
        let region = engine.streams().config().region().map(ToString::to_string);
        assert_eq!(region.as_deref(), Some("eu-west-1"));
        assert_eq!(Engine::embedded().unwrap().variable("AWS_REGION"), None);
    }
}
