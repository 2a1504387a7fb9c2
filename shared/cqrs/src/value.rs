//! Values of a domain: the error of a value outside its bounds.

/// A value outside its bounds. The message states the bounds, as in "must have 1 to 64 characters", without the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub String);
