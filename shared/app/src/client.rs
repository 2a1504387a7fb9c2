//! The DynamoDB client, trimmed for a fast cold start.

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Builder, Credentials, Region, SharedHttpClient},
};
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use cqrs_dynamodb::Dynamo;

use crate::Settings;

/// The root certificates of all endpoints of AWS (<https://www.amazontrust.com/repository/>).
///
/// Loading the system's root certificates instead triples the cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("../tls/amazon-roots.pem");

/// Builds a DynamoDB client over [`transport`].
pub fn client(settings: &Settings) -> Client {
    client_over(settings, transport(settings))
}

/// Builds an HTTP client that trusts only Amazon's root certificates, or for an emulator those of the system.
pub fn transport(settings: &Settings) -> SharedHttpClient {
    let roots = match settings.endpoint {
        None => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
        Some(_) => TrustStore::default(),
    };
    https(roots)
}

/// Builds an HTTP client that trusts `roots`. It speaks HTTPS, or HTTP for an `http://` endpoint.
pub fn https(roots: TrustStore) -> SharedHttpClient {
    let https = aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring));
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => https.tls_context(context).build_https(),
        Err(_) => https.build_https(),
    }
}

/// Builds a DynamoDB client from `settings` that sends its requests through `transport`.
pub fn client_over(settings: &Settings, transport: SharedHttpClient) -> Client {
    let crate::settings::Credentials { key_id, secret, session_token } = settings.credentials.clone();
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(Credentials::new(key_id, secret, session_token, None, "environment"))
        .use_fips(settings.use_fips)
        .use_dual_stack(settings.use_dual_stack)
        .retry_config(Dynamo::retries())
        .http_client(transport);
    config.set_endpoint_url(settings.endpoint.clone());
    Client::from_conf(config.build())
}
