//! Scopes: the permissions that a domain defines.

/// A permission in a caller's token, such as `orders/write`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(&'static str);

impl Scope {
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Returns the name in a token.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}
