//! The configuration of the clients of other AWS services than DynamoDB.

use std::{fmt, sync::Arc};

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient, retry::RetryConfig,
};
use aws_types::SdkConfig;

use crate::{Settings, settings::SettingError};

/// The shared configuration of a function's clients: region, credentials, HTTP client and environment variables.
///
/// The local stack and the tests pass an HTTP client that calls the services in this process.
#[derive(Clone)]
pub struct Aws {
    config: SdkConfig,
    variable: Arc<Variable>,
}

/// Returns the value of an environment variable.
type Variable = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Aws {
    /// Creates the configuration from `settings`, for clients that send their requests through `transport`.
    pub fn new(
        settings: &Settings,
        transport: SharedHttpClient,
        variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let crate::settings::Credentials { key_id, secret, session_token } = settings.credentials.clone();
        let credentials = Credentials::new(key_id, secret, session_token, None, "environment");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(settings.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .use_fips(settings.use_fips)
            .use_dual_stack(settings.use_dual_stack)
            .http_client(transport)
            .build();
        Self { config, variable: Arc::new(variable) }
    }

    /// Returns the configuration of the client of a service, such as `EVENTBRIDGE`. Its endpoint is that of
    /// `AWS_ENDPOINT_URL_EVENTBRIDGE`, or else of `AWS_ENDPOINT_URL`; without both, it is the service's endpoint on AWS.
    pub fn client_config(&self, service: &str, retries: RetryConfig) -> SdkConfig {
        let endpoint = self.value(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| self.value("AWS_ENDPOINT_URL"));
        let mut config = self.config.to_builder().retry_config(retries);
        config.set_endpoint_url(endpoint);
        config.build()
    }

    /// Returns the value of a required environment variable.
    ///
    /// # Errors
    /// [`SettingError::Missing`] if the variable is not set or empty.
    pub fn variable(&self, name: &str) -> Result<String, SettingError> {
        self.value(name).ok_or_else(|| SettingError::Missing(name.to_owned()))
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aws")
    }
}
