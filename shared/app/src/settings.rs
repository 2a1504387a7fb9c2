//! What a function is told by its environment, read once, in `main`.

use std::sync::Arc;

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
    pub tables: Tables,
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
pub struct Tables {
    /// The write table.
    pub events: Arc<str>,
    /// The views of orders.
    pub order_summaries: Arc<str>,
    /// The sums of the dashboard.
    pub dashboard: Arc<str>,
}

/// A setting that is missing.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("the environment variable {0} is not set")]
pub struct Missing(pub &'static str);

impl Settings {
    /// Reads the settings from `variable`, which gives the value of an environment variable. An empty one counts as
    /// none.
    ///
    /// | variable | |
    /// |---|---|
    /// | `EVENTS_TABLE`, `ORDER_SUMMARIES_TABLE`, `DASHBOARD_TABLE` | what the tables are called |
    /// | `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | set by Lambda |
    /// | `AWS_ENDPOINT_URL_DYNAMODB` | where DynamoDB is; none for AWS |
    ///
    /// # Errors
    /// The name of a variable that is needed and not set. With an endpoint of its own, region and credentials may be
    /// missing: an emulator takes any.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, Missing> {
        let optional = |name| variable(name).filter(|value| !value.is_empty());
        let endpoint = optional("AWS_ENDPOINT_URL_DYNAMODB");
        let required = |name| optional(name).ok_or(Missing(name));
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
            tables: Tables {
                events: required("EVENTS_TABLE")?.into(),
                order_summaries: required("ORDER_SUMMARIES_TABLE")?.into(),
                dashboard: required("DASHBOARD_TABLE")?.into(),
            },
            endpoint,
        })
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [(&str, &str); 3] = [("EVENTS_TABLE", "e"), ("ORDER_SUMMARIES_TABLE", "s"), ("DASHBOARD_TABLE", "d")];
    const AWS: [(&str, &str); 3] =
        [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Missing> {
        Settings::read(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_missing_setting_is_named() {
        assert_eq!(read(&AWS), Err(Missing("EVENTS_TABLE")));
        assert_eq!(read(&TABLES), Err(Missing("AWS_REGION")));
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
