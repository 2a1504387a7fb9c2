//! An HTTP client for local and deployed systems, with the TLS stack of the functions.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

pub(super) type HttpsClient = legacy::Client<HttpsConnector<HttpConnector>, String>;

/// A client for `url`. Reads the machine's root certificates only for HTTPS.
pub(super) fn client(url: &str) -> Result<HttpsClient, String> {
    let connector = HttpsConnectorBuilder::new();
    let connector = if url.starts_with("https:") {
        let roots = connector.with_provider_and_native_roots(ring::default_provider());
        roots.map_err(|error| format!("this machine has no root certificates: {error}"))?
    } else {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        connector.with_tls_config(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    };
    Ok(legacy::Client::builder(TokioExecutor::new()).build(connector.https_or_http().enable_http1().build()))
}
