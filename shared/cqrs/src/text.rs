//! Bounded text that people can read.

use std::fmt::{self, Display};

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::InvalidValue;

/// Text of 1 to `MAX` characters, at least one of them visible, without control characters and without format
/// characters that reorder or hide text.
///
/// Joiners and variation selectors are allowed, because emoji and several scripts need them.
///
/// Deserialization checks only the length, because it reads stored events, which may be older than the other rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks the length, the only rule that applies to stored text, too.
    fn of_length(text: String) -> Result<Self, InvalidValue> {
        if (1..=MAX).contains(&text.chars().count()) {
            return Ok(Self(text));
        }
        Err(InvalidValue(format!("must have 1 to {MAX} characters")))
    }
}

/// Returns whether a text has no visible character.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || is_invisible(character))
}

/// Returns whether a character is not allowed in a [`Text`]: the Unicode category Cc (control), line and paragraph
/// separators, the property `Bidi_Control`, deprecated format characters, interlinear annotations, tags and
/// noncharacters.
fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}'
                | '\u{fdd0}'..='\u{fdef}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
        || u32::from(character) & 0xfffe == 0xfffe
}

/// Returns whether a character is invisible: it has the Unicode property `Default_Ignorable_Code_Point`, is the blank
/// braille pattern, or is forbidden in a [`Text`].
fn is_invisible(character: char) -> bool {
    is_forbidden(character)
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fff8}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        let text = Self::of_length(text)?;
        if text.0.contains(is_forbidden) {
            return Err(InvalidValue("must not contain control characters or hidden formatting characters".to_owned()));
        }
        if is_blank(&text.0) {
            return Err(InvalidValue("must have a visible character".to_owned()));
        }
        Ok(text)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of_length(String::deserialize(deserializer)?).map_err(D::Error::custom)
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
    fn control_and_hidden_formatting_characters_are_invalid() {
        for invalid in [
            "\0",
            "a\nb",
            "\u{7f}",
            "\u{202e}x",
            "\u{2066}x",
            "a\u{2028}",
            "a\u{2029}",
            "a\u{206a}",
            "a\u{e0041}",
            "a\u{fff9}",
            "a\u{ffff}",
            "a\u{10fffe}",
        ] {
            assert!(text(invalid).is_err(), "{invalid:?}");
        }
    }

    #[test]
    fn text_has_a_visible_character() {
        for blank in [
            " ",
            "\u{a0}",
            "\u{3000}",
            "\u{200b}",
            "\u{feff}",
            " \u{200b} ",
            "\u{200d}",
            "\u{ad}",
            "\u{3164}",
            "\u{2800}",
            "\u{fe0f}",
            "\u{2003}",
        ] {
            assert!(text(blank).is_err(), "{blank:?}");
        }
        for visible in [" a ", "\u{1f469}\u{200d}\u{1f4bb}", "\u{646}\u{200c}\u{627}", ".", "\u{2764}\u{fe0f}"] {
            assert!(text(visible).is_ok(), "{visible:?}");
        }
    }

    #[test]
    fn stored_text_may_be_older_than_a_rule() {
        let stored = |text: &str| serde_json::from_value::<Text<5>>(text.into());
        assert_eq!(stored("\u{a0}").unwrap().as_str(), "\u{a0}");
        assert!(stored("").is_err() && stored("123456").is_err());
    }
}
