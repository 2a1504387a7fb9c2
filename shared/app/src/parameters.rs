//! Path and query parameters.

use std::{collections::BTreeMap, str::FromStr};

use axum::extract::{FromRequestParts, Path};
use cqrs::Version;
use http::request::Parts;

use crate::Problem;

/// The highest version in a request: the largest integer that a JSON number carries exactly.
pub const MAX_VERSION: u64 = (1 << 53) - 1;

/// The only parameter of a path. A text that does not parse as `K` gives 404, because no resource has that key.
#[derive(Debug)]
pub struct PathKey<K>(pub K);

impl<K: FromStr, S: Send + Sync> FromRequestParts<S> for PathKey<K> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        text.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// The parameters of a query string. A repeated parameter gives 400.
#[derive(Debug)]
pub struct Parameters(BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if parameters.insert(name.to_string(), value.to_string()).is_some() {
                return Err(Problem::malformed("A query parameter is repeated."));
            }
        }
        Ok(Self(parameters))
    }
}

impl Parameters {
    /// Requires that all parameters are among `known`.
    ///
    /// # Errors
    /// 400 if there is an unknown parameter.
    pub fn only(self, known: &[&str]) -> Result<Self, Problem> {
        if self.0.keys().all(|name| known.contains(&name.as_str())) {
            return Ok(self);
        }
        Err(Problem::malformed(match known {
            [] => "This operation has no query parameters.".to_owned(),
            _ => format!("This operation has only these query parameters: {}.", known.join(", ")),
        }))
    }

    /// Returns a parameter as text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Parses a parameter as a whole number from `min` to `max`.
    ///
    /// # Errors
    /// 400 if the parameter is present but not such a number.
    pub fn number(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (min..=max).contains(number) && !text.starts_with('+'));
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(Problem::malformed(format!("{name} must be a whole number from {min} to {max}."))),
        }
    }

    /// Parses a parameter as a version, from 1 to [`MAX_VERSION`].
    ///
    /// # Errors
    /// 400 if the parameter is present but not such a version.
    pub fn version(&self, name: &str) -> Result<Option<Version>, Problem> {
        Ok(self.number(name, 1, MAX_VERSION)?.map(Version::new))
    }
}
