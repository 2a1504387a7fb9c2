//! Bounded text without control characters.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::InvalidValue;

/// Text of 1 to `MAX` characters, without control characters and bidirectional formatting characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether a character is in the Unicode category Cc (control) or has the Unicode property `Bidi_Control`.
fn is_control_or_bidi(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        if !(1..=MAX).contains(&text.chars().count()) {
            return Err(InvalidValue(format!("must have 1 to {MAX} characters")));
        }
        if text.contains(is_control_or_bidi) {
            return Err(InvalidValue("must not contain control or bidirectional formatting characters".to_owned()));
        }
        Ok(Self(text))
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> Self {
        text.0
    }
}

impl<const MAX: usize> Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Result<Text<5>, InvalidValue> {
        text.to_owned().try_into()
    }

    #[test]
    fn the_length_is_counted_in_characters_not_in_bytes() {
        assert!(text("äöüßé").is_ok());
        assert!(text("").is_err());
        assert!(text("123456").is_err());
    }

    #[test]
    fn control_and_bidi_characters_are_invalid() {
        for invalid in ["\0", "a\nb", "\u{7f}", "\u{202e}x", "\u{2066}x"] {
            assert!(text(invalid).is_err(), "{invalid:?}");
        }
    }
}
