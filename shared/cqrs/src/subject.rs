//! Subjects: the people and systems that own instances.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::{InvalidValue, text::is_blank};

/// A subject, such as the customer who owns an order: the `sub` claim of the subject's token, unchanged.
///
/// An identity provider may put any characters into `sub`, so this is not a [`Text`](crate::Text). It has 1 to 255
/// characters, at least one of them visible. `.` and `..` are invalid: clients remove these segments from a path, so
/// the instances of such a subject could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubjectId(String);

impl SubjectId {
    pub const MAX: usize = 255;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SubjectId {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        if !(1..=Self::MAX).contains(&text.chars().count()) {
            return Err(InvalidValue(format!("must have 1 to {} characters", Self::MAX)));
        }
        if is_blank(&text) {
            return Err(InvalidValue("must have a visible character".to_owned()));
        }
        if [".", ".."].contains(&text.as_str()) {
            return Err(InvalidValue("must not be . or .., which a path cannot contain".to_owned()));
        }
        Ok(Self(text))
    }
}

impl Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_the_id_that_the_identity_provider_chose() {
        for id in
            ["alice", "CN=a#b", "a%41b", "CORP\\alice", "https://idp/x", "a|b", "...", ".a", &"\u{e4}".repeat(255)]
        {
            assert_eq!(SubjectId::try_from(id.to_owned()).map(|id| id.to_string()), Ok(id.to_owned()));
        }
        for id in ["", " ", "\u{a0}", "\u{200b}", "\u{3000}", ".", "..", &"a".repeat(256)] {
            assert!(SubjectId::try_from(id.to_owned()).is_err(), "{id:?}");
        }
    }
}
