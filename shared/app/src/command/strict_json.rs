//! Reads JSON documents strictly and reports the location of the first error.

use std::fmt;

use http::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Unexpected, Visitor},
    forward_to_deserialize_any,
};
use serde_path_to_error::{Path, Segment};

use crate::{Problem, problem::FieldError};

/// The limit for a document with a command, in bytes: the body of a request, or a message.
pub const MAX_BYTES: usize = 64 * 1024;

/// Parses a JSON object. Rejects unknown fields if `T` does, repeated fields, and arrays in place of objects.
///
/// # Errors
/// 413 above 64 KiB, 400 for invalid JSON, and 422 with a pointer to the first field that is unknown, repeated, missing
/// or of a wrong type.
pub fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T, Problem> {
    if document.len() > MAX_BYTES {
        return Err(too_large());
    }
    // The first pass checks the syntax of the whole document and its depth, so that a syntax error after a wrong field is
    // still 400. The second pass reads the text again, because a `Value` hides repeated fields.
    serde_json::from_slice::<serde_json::Value>(document)
        .map_err(|error| Problem::malformed(format!("The body is not valid JSON: {error}.")))?;
    let mut json = serde_json::Deserializer::from_slice(document);
    let JsonObject(document) = serde_path_to_error::deserialize(&mut json).map_err(invalid_field)?;
    Ok(document)
}

/// 413: the body exceeds 64 KiB.
pub(crate) fn too_large() -> Problem {
    let detail = format!("The body must not exceed {MAX_BYTES} bytes.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Request body too large", detail)
}

/// 422: one field is unknown, repeated, missing or of a wrong type.
///
/// serde's messages quote the request. The detail therefore has only the expectation.
fn invalid_field(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let mut pointer = pointer(error.path());
    let message = error.inner().to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _location)| message);
    let detail = match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {}", in_words_of_json(expected)),
        None => message.to_owned(),
    };
    if let Some(field) = quoted_after(message, "missing field ") {
        pointer = format!("{pointer}/{field}");
    }
    Problem::invalid(vec![FieldError { pointer, detail }])
}

/// Translates serde's text for an expected type, which names Rust types, to the terms of JSON.
fn in_words_of_json(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "a nonzero u64" => WHOLE_NUMBER,
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        "unit" => "null",
        "a character" | "a borrowed string" | "string or map" | "identifier" => "a string",
        other => match other.split(' ').next() {
            Some("struct" | "variant" | "newtype") => "an object",
            Some("tuple" | "sequence") => "an array",
            Some("enum") => "a string",
            Some(_) | None => other,
        },
    }
}

fn quoted_after<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    message.strip_prefix(prefix)?.strip_prefix('`')?.strip_suffix('`')
}

/// Formats the path as a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}

/// The description of a [`WholeNumber`] in error messages.
const WHOLE_NUMBER: &str = "a whole number of at least 0";

/// Deserializes a whole number in any notation: `2`, `2.0` and `2e0` are the same number (JSON Schema 2020-12,
/// `integer`).
#[derive(Clone, Copy, Debug)]
pub struct WholeNumber(pub u64);

impl<'de> Deserialize<'de> for WholeNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(WholeNumberVisitor).map(Self)
    }
}

struct WholeNumberVisitor;

impl Visitor<'_> for WholeNumberVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WHOLE_NUMBER)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    /// Accepts the whole numbers up to 2^53 - 1, which a double represents exactly.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<u64, E> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number is whole and in range")]
        match number {
            whole if whole.fract() == 0.0 && (0.0..=9_007_199_254_740_991.0).contains(&whole) => Ok(whole as u64),
            other => Err(E::invalid_value(Unexpected::Float(other), &self)),
        }
    }
}

/// Deserializes a struct from a JSON object only. serde's derived implementations accept an array, too.
#[derive(Debug)]
pub struct JsonObject<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(StructFromMap(deserializer)).map(Self)
    }
}

struct StructFromMap<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for StructFromMap<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, expecting = "an object")]
    #[allow(dead_code, reason = "the tests only deserialize it")]
    struct Basket {
        owner: String,
        eggs: Vec<JsonObject<Egg>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, expecting = "an object")]
    #[allow(dead_code, reason = "the tests only deserialize it")]
    struct Egg {
        size: WholeNumber,
    }

    /// Returns the status and the pointer of the first invalid field.
    fn problem(body: impl Into<Vec<u8>>) -> (u64, Option<String>) {
        let problem = serde_json::to_value(parse::<Basket>(&body.into()).unwrap_err()).unwrap();
        (problem["status"].as_u64().unwrap(), problem["errors"][0]["pointer"].as_str().map(str::to_owned))
    }

    #[test]
    fn invalid_json_is_malformed() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for body in [
            "",
            " ",
            "{",
            r#"{"owner": "a", "eggs": []"#,
            "\u{feff}{}",
            "NaN",
            r#"{"owner": 1e400}"#,
            "{}x",
            r#"{"owner": "\ud800"}"#,
            r#"{"owner": 1, "eggs""#,
            &deep,
        ] {
            assert_eq!(problem(body).0, 400, "{body}");
        }
        assert_eq!(problem(b"{\"owner\": \"\xff\"}").0, 400);
    }

    #[test]
    fn the_first_invalid_field_is_named_by_a_pointer() {
        for (egg, pointer) in [
            (json!({ "size": "1" }), "/eggs/0/size"),
            (json!({ "size": -1 }), "/eggs/0/size"),
            (json!({ "size": 1.5 }), "/eggs/0/size"),
            (json!({ "size": -1.0 }), "/eggs/0/size"),
            (json!({ "size": 1e300 }), "/eggs/0/size"),
            (json!({ "size": null }), "/eggs/0/size"),
            (json!({}), "/eggs/0/size"),
            (json!([1]), "/eggs/0"),
            (json!({ "size": 1, "color/~": 2 }), "/eggs/0/color~1~0"),
        ] {
            let body = json!({ "owner": "a", "eggs": [egg] }).to_string();
            assert_eq!(problem(body.clone()), (422, Some(pointer.to_owned())), "{body}");
        }
        assert_eq!(
            problem(r#"{"owner": "a", "eggs": [{"size": 18446744073709551616}]}"#),
            (422, Some("/eggs/0/size".to_owned()))
        );
        assert_eq!(problem(r#"["a", []]"#), (422, Some(String::new())));
        assert_eq!(problem(r#"{"owner": "a", "owner": "b", "eggs": []}"#).0, 422);
    }

    #[test]
    fn a_whole_number_has_any_spelling() {
        for (spelling, size) in [("2", 2), ("2.0", 2), ("1e2", 100), ("0.0", 0), ("-0.0", 0), ("100e-1", 10)] {
            let body = format!(r#"{{"owner": "a", "eggs": [{{"size": {spelling}}}]}}"#);
            let Basket { eggs, .. } = parse(body.as_bytes()).unwrap();
            assert_eq!(eggs.first().map(|JsonObject(egg)| egg.size.0), Some(size), "{spelling}");
        }
    }

    #[test]
    fn an_error_has_no_words_of_rust() {
        for (expected, words) in
            [("u64", WHOLE_NUMBER), ("a sequence", "an array"), ("a map", "an object"), ("struct Egg", "an object")]
        {
            assert_eq!(in_words_of_json(expected), words);
        }
        let problem = parse::<Basket>(br#"{"owner": "a", "eggs": 1}"#).unwrap_err();
        assert!(serde_json::to_string(&problem).unwrap().contains("expected an array"));
    }

    #[test]
    fn the_value_of_an_invalid_field_is_not_repeated() {
        for body in [
            r#"{"owner": {"name": "Jane Doe"}, "eggs": []}"#,
            r#"{"owner": "a", "eggs": "Jane Doe at line 1, expected by all"}"#,
        ] {
            let problem = serde_json::to_string(&parse::<Basket>(body.as_bytes()).unwrap_err()).unwrap();
            assert!(problem.contains("expected a") && !problem.contains("Jane"), "{problem}");
        }
    }
}
