//! How a request body is read: strictly, and with a word on what is wrong and where.

use app::{Problem, problem::FieldError};
use axum::{
    body::{Bytes, to_bytes},
    extract::Request,
};
use http::{HeaderMap, StatusCode, header};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};
use serde_path_to_error::{Path, Segment};

/// The most bytes of a body.
const MAX_BODY: usize = 64 * 1024;

/// Reads a JSON object. Unknown and repeated fields are refused, as are arrays where an object is due.
///
/// # Errors
/// 415 if it does not say that it is JSON, 413 over 64 KiB, 400 if it is not JSON, 422 with the place of the first
/// field of a wrong type.
pub(crate) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    is_json(request.headers())?;
    let body = to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| too_large())?;
    parse(&body)
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    // First whether it is JSON at all, in full and not too deep; only then what it holds. The document itself is read
    // from the text, because a `Value` hides repeated fields.
    serde_json::from_slice::<serde_json::Value>(body)
        .map_err(|error| Problem::malformed(format!("The body is not JSON: {error}.")))?;
    let mut json = serde_json::Deserializer::from_slice(body);
    let Object(document) = serde_path_to_error::deserialize(&mut json).map_err(wrong_field)?;
    Ok(document)
}

fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") && !headers.contains_key(header::CONTENT_ENCODING) {
        return Ok(());
    }
    Err(not_json())
}

/// 415: the body does not say that it is JSON.
pub(crate) fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body is not JSON",
        "Send JSON, not compressed, with Content-Type: application/json.",
    )
}

/// 413: the body has more bytes than it may have.
pub(crate) fn too_large() -> Problem {
    let detail = format!("The body may have at most {MAX_BODY} bytes.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
}

/// 422 for the first field that does not fit. serde's message is cut to what is expected: the rest quotes the request.
fn wrong_field(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let mut pointer = pointer(error.path());
    let message = error.inner().to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _place)| message);
    let detail = match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => message.to_owned(),
    };
    if let Some(field) = quoted(message, "missing field ") {
        pointer = format!("{pointer}/{field}");
    }
    Problem::invalid(vec![FieldError { pointer, detail }])
}

fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.strip_prefix('`')?.strip_suffix('`')
}

/// The path as a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}

/// A struct that is read from a JSON object alone: what serde derives takes an array as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
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
    #[allow(dead_code, reason = "what is read is not looked at")]
    struct Basket {
        owner: String,
        eggs: Vec<Object<Egg>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, expecting = "an object")]
    #[allow(dead_code, reason = "what is read is not looked at")]
    struct Egg {
        size: u64,
    }

    /// Status, and pointer if one field is wrong.
    fn refusal(body: impl Into<Vec<u8>>) -> (u64, Option<String>) {
        let problem = serde_json::to_value(parse::<Basket>(&Bytes::from(body.into())).unwrap_err()).unwrap();
        (problem["status"].as_u64().unwrap(), problem["errors"][0]["pointer"].as_str().map(str::to_owned))
    }

    #[test]
    fn what_is_not_json_is_malformed() {
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
            assert_eq!(refusal(body).0, 400, "{body}");
        }
        assert_eq!(refusal(b"{\"owner\": \"\xff\"}").0, 400);
    }

    #[test]
    fn a_field_of_a_wrong_type_is_pointed_at() {
        for (egg, pointer) in [
            (json!({ "size": "1" }), "/eggs/0/size"),
            (json!({ "size": -1 }), "/eggs/0/size"),
            (json!({ "size": 1.0 }), "/eggs/0/size"),
            (json!({ "size": null }), "/eggs/0/size"),
            (json!({}), "/eggs/0/size"),
            (json!([1]), "/eggs/0"),
            (json!({ "size": 1, "color/~": 2 }), "/eggs/0/color~1~0"),
        ] {
            let body = json!({ "owner": "a", "eggs": [egg] }).to_string();
            assert_eq!(refusal(body.clone()), (422, Some(pointer.to_owned())), "{body}");
        }
        assert_eq!(refusal(r#"{"owner": "a", "eggs": [{"size": 1e2}]}"#), (422, Some("/eggs/0/size".to_owned())));
        assert_eq!(
            refusal(r#"{"owner": "a", "eggs": [{"size": 18446744073709551616}]}"#),
            (422, Some("/eggs/0/size".to_owned()))
        );
        assert_eq!(refusal(r#"["a", []]"#), (422, Some(String::new())));
        assert_eq!(refusal(r#"{"owner": "a", "owner": "b", "eggs": []}"#).0, 422);
    }

    #[test]
    fn what_a_wrong_field_holds_is_not_repeated() {
        for body in [
            r#"{"owner": {"name": "Jane Doe"}, "eggs": []}"#,
            r#"{"owner": "a", "eggs": "Jane Doe at line 1, expected by all"}"#,
        ] {
            let problem = serde_json::to_string(&parse::<Basket>(&Bytes::from(body)).unwrap_err()).unwrap();
            assert!(problem.contains("expected a ") && !problem.contains("Jane"), "{problem}");
        }
    }
}
