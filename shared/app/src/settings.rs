//! The settings of a function, read once from environment variables.

use std::{fmt, net::SocketAddr};

use crate::{Tables, tables};

const ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub region: String,
    /// The URL of a DynamoDB emulator. `None` selects AWS.
    pub endpoint: Option<String>,
    pub credentials: Credentials,
    pub tables: Tables,
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

/// An environment variable that is missing or malformed.
#[derive(thiserror::Error, PartialEq)]
pub enum SettingError {
    #[error("the environment variable {0} is not set")]
    Missing(String),
    #[error("the environment variable {0} must be {1}")]
    Malformed(String, &'static str),
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
pub fn check_lambda_variables(variable: impl Fn(&str) -> Option<String>) -> Result<(), SettingError> {
    const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
    for name in ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", MEMORY] {
        variable(name).filter(|value| !value.is_empty()).ok_or_else(|| SettingError::Missing(name.to_owned()))?;
    }
    let memory: Option<i32> = variable(MEMORY).and_then(|size| size.parse().ok());
    memory.map(drop).ok_or_else(|| SettingError::Malformed(MEMORY.to_owned(), "a number of MB"))
}

impl Settings {
    /// Reads the settings of a function with these tables. `variable` returns the value of an environment variable; an
    /// empty value counts as not set.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `<NAME>_TABLE` for each table, such as `EVENTS_TABLE` | the deployed name of the table |
    /// | `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | set by Lambda |
    /// | `AWS_ENDPOINT_URL_DYNAMODB` | the URL of a DynamoDB emulator; not set for AWS |
    /// | `METRICS_NAMESPACE` | the CloudWatch namespace; not set to turn metrics off |
    /// | `AWS_XRAY_DAEMON_ADDRESS` | set by Lambda if tracing is active |
    ///
    /// With `AWS_ENDPOINT_URL_DYNAMODB`, region and credentials are optional, because emulators accept any. So are the
    /// names of the tables: the default is their name in the local stack, such as `EventsTable`.
    ///
    /// # Errors
    /// The first required variable that is not set, or the first that is malformed.
    pub fn read(tables: &[&'static str], variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let optional = |name: &str| variable(name).filter(|value| !value.is_empty());
        let endpoint = optional(ENDPOINT);
        if endpoint.as_deref().is_some_and(|endpoint| !is_url(endpoint)) {
            let expected = "a URL such as http://localhost:8000, or empty for AWS";
            return Err(SettingError::Malformed(ENDPOINT.to_owned(), expected));
        }
        let required = |name: &str| optional(name).ok_or_else(|| SettingError::Missing(name.to_owned()));
        let table = |declared: &&'static str| {
            let variable = tables::variable(declared);
            let name = match &endpoint {
                Some(_) => optional(&variable).unwrap_or_else(|| tables::logical_id(declared)),
                None => required(&variable)?,
            };
            match name {
                name if is_table_name(&name) => Ok((*declared, name.into())),
                _ => {
                    let expected = "a table name: 3 to 255 of the characters a-z, A-Z, 0-9, _, - and .";
                    Err(SettingError::Malformed(variable, expected))
                }
            }
        };
        let aws = |name: &str| match &endpoint {
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
            tables: tables.iter().map(table).collect::<Result<_, _>>()?,
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

    const TABLES: [(&str, &str); 2] = [("EVENTS_TABLE", "events"), ("LOAN_SUMMARIES_TABLE", "views")];
    const AWS: [(&str, &str); 3] =
        [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingError> {
        Settings::read(&["events", "loan-summaries"], |name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_missing_setting_is_named() {
        assert_eq!(read(&AWS), Err(SettingError::Missing("EVENTS_TABLE".to_owned())));
        assert_eq!(read(&TABLES), Err(SettingError::Missing("AWS_REGION".to_owned())));
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
            assert!(matches!(&error, SettingError::Malformed(named, _) if named == name), "{error}");
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
        let value = |name: &str| all.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        assert_eq!(check_lambda_variables(value), Ok(()));
        for (missing, _) in all {
            assert_eq!(
                check_lambda_variables(|name| value(name).filter(|_| name != missing)),
                Err(SettingError::Missing(missing.to_owned()))
            );
        }
        let malformed = check_lambda_variables(|name| value(name).map(|_| "much".to_owned()));
        assert_eq!(
            malformed,
            Err(SettingError::Malformed("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".to_owned(), "a number of MB"))
        );
    }

    #[test]
    fn an_empty_endpoint_selects_aws() {
        let all = [&TABLES[..], &AWS[..], &[("AWS_ENDPOINT_URL_DYNAMODB", "")]].concat();
        let settings = read(&all).unwrap();
        assert_eq!((settings.endpoint, settings.region.as_str()), (None, "eu-west-1"));
    }

    #[test]
    fn an_emulator_needs_no_region_or_credentials_and_has_tables_of_the_local_stack() {
        let settings = read(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000")]).unwrap();
        assert_eq!(&*settings.tables.get("loan-summaries").unwrap(), "LoanSummariesTable");
    }

    #[test]
    fn credentials_are_not_shown() {
        let all = [&TABLES[..], &AWS[..]].concat();
        assert!(!format!("{:?}", read(&all).unwrap()).contains("secret"));
    }
}
