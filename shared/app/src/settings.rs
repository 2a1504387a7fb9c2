//! What a function is told by its environment, read once, in `main`.

use std::{fmt, net::SocketAddr, sync::Arc};

const ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// The settings of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The AWS region.
    pub region: String,
    /// Where DynamoDB is, if not in AWS.
    pub endpoint: Option<String>,
    /// How requests to it are signed.
    pub credentials: Credentials,
    /// What its tables are called.
    pub tables: TableNames,
    /// Under which name its metrics are kept, if anybody wants them.
    pub metrics_namespace: Option<String>,
    /// Where X-Ray's daemon is, if there is one.
    pub x_ray_daemon: Option<SocketAddr>,
}

/// The credentials of the execution environment; fixed for its life, so no chain of providers is needed.
#[derive(Clone, PartialEq)]
pub struct Credentials {
    pub(crate) key_id: String,
    pub(crate) secret: String,
    pub(crate) session_token: Option<String>,
}

/// What the tables are called.
#[derive(Clone, Debug, PartialEq)]
pub struct TableNames {
    /// The write table.
    pub events: Arc<str>,
    /// The views of orders.
    pub order_summaries: Arc<str>,
    /// The counters of the dashboard.
    pub dashboard: Arc<str>,
}

/// A setting that a function cannot start with, in one line that names it.
#[derive(thiserror::Error, PartialEq)]
pub enum SettingError {
    /// It is not there.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// It is there, and not as it must be.
    #[error("the environment variable {0} must be {1}")]
    Malformed(&'static str, &'static str),
}

/// What ends `main` is shown in this form.
impl fmt::Debug for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Looks for what Lambda sets for every function, and its runtime cannot do without.
///
/// # Errors
/// The first that is missing or malformed: this is not Lambda, nor anything that plays it.
pub fn check_lambda_variables(variable: impl Fn(&'static str) -> Option<String>) -> Result<(), SettingError> {
    const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
    for name in ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", MEMORY] {
        variable(name).filter(|value| !value.is_empty()).ok_or(SettingError::Missing(name))?;
    }
    let memory: Option<i32> = variable(MEMORY).and_then(|size| size.parse().ok());
    memory.map(drop).ok_or(SettingError::Malformed(MEMORY, "a number of MB"))
}

impl Settings {
    /// Reads the settings from `variable`, which gives the value of an environment variable. An empty one counts as
    /// none.
    ///
    /// | variable | |
    /// |---|---|
    /// | `EVENTS_TABLE`, `ORDER_SUMMARIES_TABLE`, `DASHBOARD_TABLE` | what the tables are called |
    /// | `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | set by Lambda |
    /// | `AWS_ENDPOINT_URL_DYNAMODB` | where DynamoDB is; none for AWS |
    /// | `METRICS_NAMESPACE` | under which name metrics are kept; none for no metrics |
    /// | `AWS_XRAY_DAEMON_ADDRESS` | set by Lambda where tracing is active |
    ///
    /// # Errors
    /// The name of a variable that is needed and not set, or is not as it must be. With an endpoint of its own, region and credentials may be
    /// missing: an emulator takes any.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, SettingError> {
        let optional = |name| variable(name).filter(|value| !value.is_empty());
        let endpoint = optional(ENDPOINT);
        if endpoint.as_deref().is_some_and(|endpoint| !is_url(endpoint)) {
            return Err(SettingError::Malformed(ENDPOINT, "a URL such as http://localhost:8000, or empty for AWS"));
        }
        let required = |name| optional(name).ok_or(SettingError::Missing(name));
        let table = |name| match required(name)? {
            value if is_table(&value) => Ok(value.into()),
            _ => Err(SettingError::Malformed(name, "the name of a table: 3 to 255 of a-z, A-Z, 0-9, _, - and .")),
        };
        let of_aws = |name| match &endpoint {
            Some(_) => Ok(optional(name).unwrap_or_else(|| "local".to_owned())),
            None => required(name),
        };
        Ok(Self {
            region: of_aws("AWS_REGION")?,
            credentials: Credentials {
                key_id: of_aws("AWS_ACCESS_KEY_ID")?,
                secret: of_aws("AWS_SECRET_ACCESS_KEY")?,
                session_token: optional("AWS_SESSION_TOKEN"),
            },
            tables: TableNames {
                events: table("EVENTS_TABLE")?,
                order_summaries: table("ORDER_SUMMARIES_TABLE")?,
                dashboard: table("DASHBOARD_TABLE")?,
            },
            metrics_namespace: optional("METRICS_NAMESPACE"),
            // Lambda's own, and tracing is no reason not to start.
            x_ray_daemon: optional("AWS_XRAY_DAEMON_ADDRESS").and_then(|address| address.parse().ok()),
            endpoint,
        })
    }
}

/// Whether this is a place on the network, as far as one can tell without trying it.
fn is_url(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// Whether a table may be called so (Amazon DynamoDB Developer Guide, "Naming rules").
fn is_table(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (3..=255).contains(&name.len()) && name.bytes().all(allowed)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [(&str, &str); 3] =
        [("EVENTS_TABLE", "events"), ("ORDER_SUMMARIES_TABLE", "views"), ("DASHBOARD_TABLE", "days")];
    const AWS: [(&str, &str); 3] =
        [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingError> {
        Settings::read(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_missing_setting_is_named() {
        assert_eq!(read(&AWS), Err(SettingError::Missing("EVENTS_TABLE")));
        assert_eq!(read(&TABLES), Err(SettingError::Missing("AWS_REGION")));
    }

    #[test]
    fn a_malformed_setting_is_named_with_what_it_must_be() {
        for (name, value) in [
            ("AWS_ENDPOINT_URL_DYNAMODB", "localhost:8000"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "ftp://localhost"),
            ("EVENTS_TABLE", "e"),
            ("EVENTS_TABLE", "my events"),
        ] {
            let error = read(&[&[(name, value)][..], &TABLES, &AWS].concat()).unwrap_err();
            assert!(matches!(error, SettingError::Malformed(named, _) if named == name), "{error}");
        }
    }

    #[test]
    fn what_lambda_sets_is_looked_for() {
        let all = [
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
            ("AWS_LAMBDA_FUNCTION_NAME", "command"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ];
        let value = |name| all.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        assert_eq!(check_lambda_variables(value), Ok(()));
        for (missing, _) in all {
            assert_eq!(
                check_lambda_variables(|name| value(name).filter(|_| name != missing)),
                Err(SettingError::Missing(missing))
            );
        }
        let malformed = check_lambda_variables(|name| value(name).map(|_| "much".to_owned()));
        assert_eq!(malformed, Err(SettingError::Malformed("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "a number of MB")));
    }

    #[test]
    fn an_empty_endpoint_is_aws() {
        let all = [&TABLES[..], &AWS[..], &[("AWS_ENDPOINT_URL_DYNAMODB", "")]].concat();
        let settings = read(&all).unwrap();
        assert_eq!((settings.endpoint, settings.region.as_str()), (None, "eu-west-1"));
    }

    #[test]
    fn an_emulator_needs_no_account() {
        let all = [&TABLES[..], &[("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000")]].concat();
        assert!(read(&all).is_ok());
    }

    #[test]
    fn credentials_are_not_shown() {
        let all = [&TABLES[..], &AWS[..]].concat();
        assert!(!format!("{:?}", read(&all).unwrap()).contains("secret"));
    }
}
