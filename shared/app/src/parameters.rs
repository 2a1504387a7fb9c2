//! Path and query parameters.

use std::{collections::BTreeMap, str::FromStr};

use axum::extract::FromRequestParts;
use cqrs::{Aggregate, Event, Version};
use http::request::Parts;
use strum::VariantArray;

use crate::{Problem, http_event::EventParts};

/// The highest version in a request: the largest integer that a JSON number carries exactly.
pub const MAX_VERSION: u64 = (1 << 53) - 1;

/// The only parameter of a path: the key of an instance of `A`. Any other text gives 404, because there is no such
/// instance.
pub struct PathKey<A: Aggregate>(pub A::Key);

impl<A: Aggregate, S: Send + Sync> FromRequestParts<S> for PathKey<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let not_found = || Problem::not_found(&A::Event::noun());
        let PathText(text) = PathText::from_request_parts(parts, state).await.map_err(|_| not_found())?;
        text.parse().map(Self).map_err(|_| not_found())
    }
}

/// The only parameter of a path, as text.
#[derive(Debug)]
pub struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.extensions.get::<EventParts>().map(|event| &event.path_parameters[..]) {
            Some([text]) => Ok(Self(text.clone())),
            Some(_) | None => Err(Problem::not_found("resource")),
        }
    }
}

/// The parameters of a query string. A repeated parameter gives 400.
#[derive(Debug)]
pub struct Parameters(BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in parts.extensions.get::<EventParts>().into_iter().flat_map(|event| &event.query) {
            if parameters.insert(name.clone(), value.clone()).is_some() {
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
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        if self.0.keys().all(|name| known.contains(&name.as_str())) {
            return Ok(());
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

    /// Parses a parameter as a variant of `T`.
    ///
    /// # Errors
    /// 400 if the parameter is present but not the name of a variant.
    pub fn variant<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: Copy + FromStr + VariantArray + Into<&'static str> + 'static,
    {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let names: Vec<&str> = T::VARIANTS.iter().map(|variant| (*variant).into()).collect();
            Problem::malformed(format!("{name} must be one of: {}.", names.join(", ")))
        })
    }
}
