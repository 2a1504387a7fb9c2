//! The API description, compared with the template and with real answers.

use std::{collections::BTreeSet, fs, path::Path};

use app::problem::TYPES;
use cqrs::Event;
use deployment::deployment;
use local::openapi;
use orders::OrderEvent;
use serde_json::{Value, json};

use crate::harness::{System, TestResponse, template};

fn document() -> Value {
    serde_json::from_str(&openapi::json(&deployment()).unwrap()).unwrap()
}

/// All operations, each with method and path.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().clone();
        methods.into_iter().map(|(method, operation)| (method.to_uppercase(), path.clone(), operation)).collect()
    };
    paths.iter().flat_map::<Vec<_>, _>(of_path).collect()
}

fn operation(document: &Value, id: &str) -> Value {
    operations(document).into_iter().find(|(.., operation)| operation["operationId"] == id).expect(id).2
}

/// Resolves a reference. Returns any other value unchanged.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect(reference),
        None => value,
    }
}

#[test]
fn the_checked_in_file_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json");
    let checked_in = fs::read_to_string(file).unwrap_or_default();
    assert!(
        checked_in == openapi::json(&deployment()).unwrap(),
        "out of date; run: cargo local openapi > openapi.json"
    );
}

#[test]
fn exactly_the_deployed_routes_are_described_with_their_scopes() {
    let document = document();
    let described: BTreeSet<_> = operations(&document)
        .into_iter()
        .map(|(method, path, operation)| {
            let scopes = operation["security"].as_array().unwrap().iter();
            let scopes: BTreeSet<_> = scopes.map(|any| any["bearer"][0].as_str().unwrap().to_owned()).collect();
            (method, path, scopes)
        })
        .collect();
    let deployed: BTreeSet<_> = template()
        .functions
        .into_values()
        .flat_map(|function| function.routes)
        .map(|route| (route.method, route.path, BTreeSet::from_iter(route.scopes)))
        .collect();
    assert_eq!(described, deployed);
}

#[test]
fn every_reference_resolves() {
    fn check_references(document: &Value, value: &Value) {
        resolved(document, value);
        match value {
            Value::Array(values) => values.iter().for_each(|value| check_references(document, value)),
            Value::Object(values) => values.values().for_each(|value| check_references(document, value)),
            _ => {}
        }
    }
    let document = document();
    check_references(&document, &document);
}

/// All problems in `value`, each with its type and its status.
fn problems(value: &Value) -> BTreeSet<(String, u64)> {
    let own = value["type"].as_str().filter(|uri| uri.contains("://")).zip(value["status"].as_u64());
    let own = own.map(|(uri, status)| (uri.to_owned(), status));
    let nested = match value {
        Value::Array(values) => values.iter().flat_map(problems).collect(),
        Value::Object(values) => values.values().flat_map(problems).collect(),
        _ => BTreeSet::new(),
    };
    own.into_iter().chain(nested).collect()
}

#[test]
fn each_problem_type_is_absolute_and_its_last_segment_names_a_page_with_its_status() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems");
    let described: BTreeSet<_> = problems(&document())
        .into_iter()
        .map(|(uri, status)| {
            let name = uri.strip_prefix(TYPES).expect(&uri).to_owned();
            (name, format!("Status {status}"))
        })
        .collect();
    let paged = fs::read_dir(pages).unwrap().map(|file| file.unwrap().path());
    let paged: BTreeSet<_> = paged
        .map(|file| (file.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&file).unwrap()))
        .filter(|(name, _)| name != "README")
        .map(|(name, page)| {
            assert!(page.starts_with(&format!("# {name}\n")), "{name}");
            (name, page.lines().find(|line| line.starts_with("Status ")).unwrap_or_default().to_owned())
        })
        .collect();
    assert_eq!(described, paged);
}

#[test]
fn every_operation_has_an_id_a_tag_and_examples() {
    let document = document();
    let tags = ["commands", "queries"].map(|tag| json!(tag));
    assert!(document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).eq(&tags));
    for (method, path, operation) in operations(&document) {
        assert!(operation["operationId"].is_string(), "{method} {path}");
        assert_eq!(operation["tags"], json!([tags[usize::from(method == "GET")]]), "{method} {path}");
        let success = ["200", "201"].into_iter().find_map(|status| operation["responses"].get(status)).unwrap();
        assert!(success["content"]["application/json"]["example"].is_object(), "{method} {path}");
    }
}

/// Generated clients use the name of a schema as the name of a class, next to the builtin classes of their language.
#[test]
fn no_schema_has_the_name_of_a_builtin_class() {
    const BUILTIN: [&str; 24] = [
        "Any",
        "Array",
        "Boolean",
        "Date",
        "Dict",
        "Double",
        "Error",
        "Event",
        "Exception",
        "File",
        "Float",
        "Integer",
        "List",
        "Long",
        "Map",
        "Number",
        "Object",
        "Optional",
        "Promise",
        "Record",
        "Response",
        "Set",
        "String",
        "Union",
    ];
    let document = document();
    let names: BTreeSet<_> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(BUILTIN.into_iter().filter(|name| names.contains(*name)).collect::<Vec<_>>(), [""; 0]);
}

/// Without a format, generated clients have integers of 32 bits.
#[test]
fn every_integer_has_a_format_that_is_large_enough() {
    fn check_integers(path: &str, value: &Value) {
        if value["type"] == "integer" && value["format"] != "int64" {
            assert_eq!(value["format"], "int32", "{path}");
            assert!(value["maximum"].as_u64().is_some_and(|max| i32::try_from(max).is_ok()), "{path}: {value}");
        }
        match value {
            Value::Array(values) => values.iter().for_each(|value| check_integers(path, value)),
            Value::Object(values) => {
                values.iter().for_each(|(name, value)| check_integers(&format!("{path}/{name}"), value));
            }
            _ => {}
        }
    }
    check_integers("", &document());
}

#[test]
fn each_event_of_a_history_is_a_named_schema_that_its_type_selects() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let event = resolved(&document, &schemas["OrderHistory"]["properties"]["events"]["items"]);
    assert_eq!(event["discriminator"]["propertyName"], "type");
    let mapping = event["discriminator"]["mapping"].as_object().unwrap();
    let listed: BTreeSet<_> = OrderEvent::SCHEMAS.iter().map(|(event_type, _)| (*event_type).to_owned()).collect();
    assert_eq!(mapping.keys().cloned().collect::<BTreeSet<_>>(), listed);
    let variants: BTreeSet<_> =
        event["oneOf"].as_array().unwrap().iter().map(|variant| variant["$ref"].as_str()).collect();
    assert_eq!(mapping.values().map(Value::as_str).collect::<BTreeSet<_>>(), variants);
    for (event_type, reference) in mapping {
        let variant = resolved(&document, &json!({ "$ref": reference })).clone();
        assert_eq!(variant["properties"]["type"]["enum"], json!([event_type]));
        for name in ["version", "type", "recorded_at", "data"] {
            assert!(variant["required"].as_array().unwrap().contains(&json!(name)), "{event_type}: {name}");
        }
    }
}

/// Compares an answer with the description of its operation: status, content type, headers, problem type and field
/// names.
#[track_caller]
fn expect_described(document: &Value, id: &str, answer: &TestResponse) {
    let operation = operation(document, id);
    let response = resolved(document, &operation["responses"][answer.status.to_string()]);
    assert!(response.is_object(), "{id} does not describe {}: {:?}", answer.status, answer.document);
    for (name, _) in response["headers"].as_object().into_iter().flatten().filter(|(name, _)| *name == "ETag") {
        assert!(answer.header(name).is_some(), "{id} {} has no {name}", answer.status);
    }
    let Some(content_type) = answer.header("content-type") else { return assert!(response["content"].is_null()) };
    let schema = resolved(document, &response["content"][content_type]["schema"]);
    assert!(schema.is_object(), "{id} {} does not describe {content_type}", answer.status);
    if content_type == "application/problem+json" {
        let kinds = schema["allOf"][1]["properties"]["type"]["enum"].as_array().unwrap();
        return assert!(kinds.contains(&answer.document["type"]), "{id}: {:?}", answer.document);
    }
    let example = response["content"][content_type]["example"].as_object();
    let in_example: Option<BTreeSet<_>> = example.map(|example| example.keys().map(String::as_str).collect());
    let shown: BTreeSet<_> = answer.document.as_object().unwrap().keys().map(String::as_str).collect();
    let known: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let required = schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for fields in [Some(shown), in_example].into_iter().flatten() {
        assert!(fields.is_subset(&known) && fields.is_superset(&required), "{id}: {fields:?}");
    }
}

/// The example body of an operation.
fn example(document: &Value, id: &str) -> Value {
    operation(document, id)["requestBody"]["content"]["application/json"]["example"].clone()
}

#[tokio::test]
async fn the_examples_are_accepted_and_the_answers_match_the_description() {
    let (system, document) = (System::start().await, document());
    let operator = system.operator();
    let placed = operator.post("/orders").json(&example(&document, "placeOrder")).await.expect(201);
    expect_described(&document, "placeOrder", &placed);
    let order = placed.header("location").unwrap().to_owned();
    let other = operator.post("/orders").json(&example(&document, "placeOrder")).await.expect(201);
    for (id, path, status) in [
        ("shipOrder", format!("{order}/ship"), 200),
        ("deliverOrder", format!("{order}/deliver"), 200),
        ("cancelOrder", format!("{}/cancel", other.header("location").unwrap()), 200),
        ("shipOrder", format!("{order}/ship"), 409),
        ("deliverOrder", format!("{order}/deliver"), 409),
        ("cancelOrder", format!("{order}/cancel"), 409),
        ("shipOrder", "/orders/1/ship".to_owned(), 404),
    ] {
        let answer = operator.post(path).json(&example(&document, id)).await.expect(status);
        expect_described(&document, id, &answer);
    }
    system.project().await;
    for (id, path, status) in [
        ("getOrder", order.clone(), 200),
        ("getOrder", format!("{order}?min_version=9"), 404),
        ("getOrder", format!("{order}?min_version=x"), 400),
        ("getOrderEvents", format!("{order}/events"), 200),
        ("getOrderEvents", "/orders/1/events".to_owned(), 404),
        ("listOrders", "/customers/operator/orders".to_owned(), 200),
        ("listOrders", "/customers/operator/orders?cursor=x".to_owned(), 400),
        ("getDashboard", "/dashboard".to_owned(), 200),
        ("getDashboard", "/dashboard?days=0".to_owned(), 400),
    ] {
        expect_described(&document, id, &operator.get(path).await.expect(status));
    }
    let unchanged = operator.get(&order).header("If-None-Match", "\"3-s1\"").await.expect(304);
    expect_described(&document, "getOrder", &unchanged);
}

#[tokio::test]
async fn refusals_match_the_description() {
    let (system, document) = (System::start().await, document());
    let operator = system.operator();
    let body = example(&document, "placeOrder");
    let place = || operator.post("/orders").json(&body);
    let order = place().header("Idempotency-Key", "first").await.expect(201);
    let ship = format!("{}/ship", order.header("location").unwrap());
    let stale = operator.post(ship).json(&example(&document, "shipOrder")).header("If-Match", "\"7\"");
    expect_described(&document, "shipOrder", &stale.await.expect(412));
    for (answer, status) in [
        (operator.post("/orders").json(&json!({})).header("Idempotency-Key", "first"), 422),
        (operator.post("/orders").json(&json!({ "coupon": "FREE" })), 422),
        (place().header("Idempotency-Key", "a b"), 400),
        (place().header("Content-Type", "text/plain"), 415),
        (operator.post("/orders").body(" ".repeat(100_000)), 413),
        (system.bearer("none".to_owned()).post("/orders"), 401),
        (system.caller("alice", "orders/read").post("/orders"), 403),
    ] {
        expect_described(&document, "placeOrder", &answer.await.expect(status));
    }
}

#[tokio::test]
async fn the_description_and_a_page_to_try_it_are_served() {
    let system = System::start().await;
    let operator = system.operator();
    assert_eq!(operator.get("/openapi.json").await.expect(200).document, document());
    for (path, content_type) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/swagger-ui.css", "text/css"),
        ("/docs/favicon-32x32.png", "image/png"),
    ] {
        assert_eq!(operator.get(path).await.expect(200).header("content-type"), Some(content_type), "{path}");
    }
}
