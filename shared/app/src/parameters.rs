//! What a request says in its path and its query.

use std::{collections::BTreeMap, str::FromStr};

use axum::extract::{FromRequestParts, Path};
use cqrs::Version;
use http::request::Parts;

use crate::Problem;

/// The highest version that can be asked for: DynamoDB and JSON carry this much exactly.
pub const MAX_VERSION: u64 = (1 << 53) - 1;

/// The one parameter of a path. What cannot be a key names nothing: 404.
#[derive(Debug)]
pub struct PathKey<K>(pub K);

impl<K: FromStr, S: Send + Sync> FromRequestParts<S> for PathKey<K> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        text.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// The parameters of a query, each at most once.
#[derive(Debug)]
pub struct Parameters(BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if parameters.insert(name.to_string(), value.to_string()).is_some() {
                return Err(Problem::malformed("A query parameter is given twice."));
            }
        }
        Ok(Self(parameters))
    }
}

impl Parameters {
    /// Refuses a query that has parameters other than these.
    ///
    /// # Errors
    /// 400.
    pub fn only(self, known: &[&str]) -> Result<Self, Problem> {
        if self.0.keys().all(|name| known.contains(&name.as_str())) {
            return Ok(self);
        }
        Err(Problem::malformed(match known {
            [] => "There are no query parameters here.".to_owned(),
            _ => format!("The query parameters here are: {}.", known.join(", ")),
        }))
    }

    /// The parameter as it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A whole number from `min` to `max`, in digits.
    ///
    /// # Errors
    /// 400 if it is anything else.
    pub fn number(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (min..=max).contains(number) && !text.starts_with('+'));
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(Problem::malformed(format!("{name} must be a whole number from {min} to {max}."))),
        }
    }

    /// A version, from 1.
    ///
    /// # Errors
    /// 400 if it is anything else.
    pub fn version(&self, name: &str) -> Result<Option<Version>, Problem> {
        Ok(self.number(name, 1, MAX_VERSION)?.map(Version::new))
    }
}
