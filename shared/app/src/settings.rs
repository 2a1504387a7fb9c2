//! The settings of a function, read once from environment variables.

use std::{fmt, net::SocketAddr, sync::Arc};

const ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub region: String,
    /// The URL of a DynamoDB emulator. `None` selects AWS.
    pub endpoint: Option<String>,
    pub credentials: Credentials,
    pub tables: TableNames,
    /// The CloudWatch namespace of the metrics. `None` turns metrics off.
    pub metrics_namespace: Option<String>,
    /// The address of the X-Ray daemon, if tracing is active.
    pub x_ray_daemon: Option<SocketAddr>,
}

/// The credentials of the execution environment. They are fixed for its lifetime, so no chain of providers is needed.
#[derive(Clone, PartialEq)]
pub struct Credentials {
    pub(crate) key_id: String,
    pub(crate) secret: String,
    pub(crate) session_token: Option<String>,
}

/// The names of the DynamoDB tables.
#[derive(Clone, Debug, PartialEq)]
pub struct TableNames {
    /// The table of the event store.
    pub events: Arc<str>,
    /// The table of the order views.
    pub order_summaries: Arc<str>,
    /// The table of the dashboard's counters.
    pub dashboard: Arc<str>,
}

impl TableNames {
    /// Returns the deployed table for the name of a declared one.
    pub fn deployed(&self, declared: &str) -> Option<Arc<str>> {
        match declared {
            "order-summaries" => Some(Arc::clone(&self.order_summaries)),
            "dashboard" => Some(Arc::clone(&self.dashboard)),
            _ => None,
        }
    }
}

/// An environment variable that is missing or malformed.
#[derive(thiserror::Error, PartialEq)]
pub enum SettingError {
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    #[error("the environment variable {0} must be {1}")]
    Malformed(&'static str, &'static str),
}

/// `main` prints its error with `Debug`, so this is the readable message.
impl fmt::Debug for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Checks the variables that Lambda sets for every function and that its runtime requires.
///
/// # Errors
/// The first variable that is missing or malformed: the function does not run in Lambda or in a Lambda emulator.
pub fn check_lambda_variables(variable: impl Fn(&'static str) -> Option<String>) -> Result<(), SettingError> {
    const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
    for name in ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", MEMORY] {
        variable(name).filter(|value| !value.is_empty()).ok_or(SettingError::Missing(name))?;
    }
    let memory: Option<i32> = variable(MEMORY).and_then(|size| size.parse().ok());
    memory.map(drop).ok_or(SettingError::Malformed(MEMORY, "a number of MB"))
}

impl Settings {
    /// Reads the settings. `variable` returns the value of an environment variable; an empty value counts as not set.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `EVENTS_TABLE`, `ORDER_SUMMARIES_TABLE`, `DASHBOARD_TABLE` | the names of the tables |
    /// | `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | set by Lambda |
    /// | `AWS_ENDPOINT_URL_DYNAMODB` | the URL of a DynamoDB emulator; not set for AWS |
    /// | `METRICS_NAMESPACE` | the CloudWatch namespace; not set to turn metrics off |
    /// | `AWS_XRAY_DAEMON_ADDRESS` | set by Lambda if tracing is active |
    ///
    /// With `AWS_ENDPOINT_URL_DYNAMODB`, region and credentials are optional, because emulators accept any.
    ///
    /// # Errors
    /// The first required variable that is not set, or the first that is malformed.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, SettingError> {
        let optional = |name| variable(name).filter(|value| !value.is_empty());
        let endpoint = optional(ENDPOINT);
        if endpoint.as_deref().is_some_and(|endpoint| !is_url(endpoint)) {
            return Err(SettingError::Malformed(ENDPOINT, "a URL such as http://localhost:8000, or empty for AWS"));
        }
        let required = |name| optional(name).ok_or(SettingError::Missing(name));
        let table = |name| match required(name)? {
            value if is_table_name(&value) => Ok(value.into()),
            _ => {
                Err(SettingError::Malformed(name, "a table name: 3 to 255 of the characters a-z, A-Z, 0-9, _, - and ."))
            }
        };
        let aws = |name| match &endpoint {
            Some(_) => Ok(optional(name).unwrap_or_else(|| "local".to_owned())),
            None => required(name),
        };
        Ok(Self {
            region: aws("AWS_REGION")?,
            credentials: Credentials {
                key_id: aws("AWS_ACCESS_KEY_ID")?,
                secret: aws("AWS_SECRET_ACCESS_KEY")?,
                session_token: optional("AWS_SESSION_TOKEN"),
            },
            tables: TableNames {
                events: table("EVENTS_TABLE")?,
                order_summaries: table("ORDER_SUMMARIES_TABLE")?,
                dashboard: table("DASHBOARD_TABLE")?,
            },
            metrics_namespace: optional("METRICS_NAMESPACE"),
            // Lambda sets this variable, and a malformed address must not stop the function: it only turns tracing off.
            x_ray_daemon: optional("AWS_XRAY_DAEMON_ADDRESS").and_then(|address| address.parse().ok()),
            endpoint,
        })
    }
}

fn is_url(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// Checks a table name by the Amazon DynamoDB Developer Guide, "Naming rules".
fn is_table_name(name: &str) -> bool {
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
    fn a_malformed_setting_is_named() {
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
    fn a_missing_variable_of_lambda_is_named() {
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
    fn an_empty_endpoint_selects_aws() {
        let all = [&TABLES[..], &AWS[..], &[("AWS_ENDPOINT_URL_DYNAMODB", "")]].concat();
        let settings = read(&all).unwrap();
        assert_eq!((settings.endpoint, settings.region.as_str()), (None, "eu-west-1"));
    }

    #[test]
    fn an_emulator_needs_no_region_or_credentials() {
        let all = [&TABLES[..], &[("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000")]].concat();
        assert!(read(&all).is_ok());
    }

    #[test]
    fn credentials_are_not_shown() {
        let all = [&TABLES[..], &AWS[..]].concat();
        assert!(!format!("{:?}", read(&all).unwrap()).contains("secret"));
    }
}
