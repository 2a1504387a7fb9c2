//! The settings of a function, read once from environment variables.

use std::{fmt, net::SocketAddr};

use crate::{Tables, tables};

/// The variables for the endpoint of DynamoDB and for the endpoint of all services. The first one that is set is used,
/// as in the AWS SDKs.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];
const FIPS: &str = "AWS_USE_FIPS_ENDPOINT";
const DUAL_STACK: &str = "AWS_USE_DUALSTACK_ENDPOINT";

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub region: String,
    /// The URL of a DynamoDB emulator. `None` selects AWS.
    pub endpoint: Option<String>,
    /// Use the endpoint of AWS that complies with FIPS 140.
    pub use_fips: bool,
    /// Use the endpoint of AWS that has IPv4 and IPv6 addresses.
    pub use_dual_stack: bool,
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
    /// | `AWS_ENDPOINT_URL_DYNAMODB`, or else `AWS_ENDPOINT_URL` | the URL of a DynamoDB emulator; not set for AWS |
    /// | `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` | `true` for a FIPS or dual-stack endpoint of AWS |
    /// | `METRICS_NAMESPACE` | the CloudWatch namespace; not set to turn metrics off |
    /// | `AWS_XRAY_DAEMON_ADDRESS` | set by Lambda if tracing is active |
    ///
    /// With an endpoint, region and credentials are optional, because emulators accept any. The names of the tables are
    /// then optional, too: the default is their name in the local stack, such as `EventsTable`.
    ///
    /// # Errors
    /// The first required variable that is not set, or the first that is malformed.
    pub fn read(tables: &[&'static str], variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let optional = |name: &str| variable(name).filter(|value| !value.is_empty());
        let endpoint = ENDPOINTS.into_iter().find_map(|name| Some((name, optional(name)?)));
        if let Some((name, _)) = endpoint.as_ref().filter(|(_, url)| !is_url(url)) {
            let expected = "a URL such as http://localhost:8000, or empty for AWS";
            return Err(SettingError::Malformed((*name).to_owned(), expected));
        }
        let endpoint = endpoint.map(|(_, url)| url);
        let is_on = |name: &str| match optional(name).map(|value| value.to_ascii_lowercase()).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") if endpoint.is_none() => Ok(true),
            Some("true") => Err(SettingError::Malformed(name.to_owned(), "false or not set if an endpoint is set")),
            Some(_) => Err(SettingError::Malformed(name.to_owned(), "true or false")),
        };
        let (use_fips, use_dual_stack) = (is_on(FIPS)?, is_on(DUAL_STACK)?);
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
            use_fips,
            use_dual_stack,
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
            ("AWS_ENDPOINT_URL", "localhost:8000"),
            ("AWS_USE_FIPS_ENDPOINT", "yes"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "1"),
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
    fn the_endpoint_of_dynamodb_is_preferred_to_that_of_all_services() {
        let endpoint = |variables: &[(&str, &str)]| read(&[&TABLES[..], &AWS, variables].concat()).unwrap().endpoint;
        let (own, all) = (("AWS_ENDPOINT_URL_DYNAMODB", "http://own:1"), ("AWS_ENDPOINT_URL", "http://all:1"));
        assert_eq!(endpoint(&[all]).as_deref(), Some("http://all:1"));
        assert_eq!(endpoint(&[own, all]).as_deref(), Some("http://own:1"));
        assert_eq!(endpoint(&[("AWS_ENDPOINT_URL_DYNAMODB", ""), all]).as_deref(), Some("http://all:1"));
        assert_eq!(endpoint(&[("AWS_ENDPOINT_URL", "")]), None);
    }

    #[test]
    fn fips_and_dual_stack_select_an_endpoint_of_aws_and_are_refused_with_another_one() {
        let (fips, dual_stack) = (("AWS_USE_FIPS_ENDPOINT", "true"), ("AWS_USE_DUALSTACK_ENDPOINT", "True"));
        let read = |variables: &[(&str, &str)]| {
            let settings = read(&[&TABLES[..], &AWS, variables].concat());
            settings.map(|settings| (settings.use_fips, settings.use_dual_stack))
        };
        assert_eq!(read(&[]), Ok((false, false)));
        assert_eq!(read(&[fips, ("AWS_USE_DUALSTACK_ENDPOINT", "false")]), Ok((true, false)));
        assert_eq!(read(&[dual_stack, ("AWS_USE_FIPS_ENDPOINT", "")]), Ok((false, true)));
        for refused in [fips, dual_stack] {
            let error = read(&[refused, ("AWS_ENDPOINT_URL", "http://localhost:8000")]).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("the environment variable {} must be", refused.0)),
                "{error}"
            );
        }
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
