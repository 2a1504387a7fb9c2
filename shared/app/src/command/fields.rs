//! Validates the fields of a body, and reports all invalid fields at once.

use std::fmt::Display;

use crate::{Problem, problem::FieldError};

/// Validates fields and collects their errors.
///
/// ```
/// # use app::{Problem, command::FieldValidation};
/// # use cqrs::Text;
/// struct Renaming { name: Text<64> }
///
/// fn renaming(name: String) -> Result<Renaming, Problem> {
///     let mut fields = FieldValidation::default();
///     let name = fields.check("/name", name.try_into());
///     fields.finish(|| Some(Renaming { name: name? }))
/// }
/// assert!(renaming("Ada".to_owned()).is_ok());
/// assert_eq!(renaming(String::new()).err().map(|problem| problem.kind()), Some("invalid-request"));
/// ```
#[derive(Debug, Default)]
pub struct FieldValidation {
    errors: Vec<FieldError>,
}

impl FieldValidation {
    /// Returns the value, or records its error for the field at `pointer`.
    pub fn check<T>(&mut self, pointer: impl Into<String>, value: Result<T, impl Display>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(FieldError { pointer: pointer.into(), detail: error.to_string() });
                None
            }
        }
    }

    /// Builds the command from the checked fields. `build` returns `None` if a field is invalid.
    ///
    /// # Errors
    /// 422 with all invalid fields.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Problem> {
        build().ok_or_else(|| Problem::invalid(self.errors))
    }
}
