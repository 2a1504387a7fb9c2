//! Text that people read and type.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// 1 to `MAX` characters, none of which controls a terminal or the direction of writing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character is a control character (Unicode category Cc) or changes the direction of writing.
fn controls(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        if !(1..=MAX).contains(&text.chars().count()) {
            return Err(InvalidValue(format!("must have 1 to {MAX} characters")));
        }
        if text.contains(controls) {
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
    fn length_is_counted_in_characters() {
        assert!(text("äöüßé").is_ok());
        assert!(text("").is_err());
        assert!(text("123456").is_err());
    }

    #[test]
    fn control_and_bidi_characters_are_refused() {
        for refused in ["\0", "a\nb", "\u{7f}", "\u{202e}x", "\u{2066}x"] {
            assert!(text(refused).is_err(), "{refused:?}");
        }
    }
}
