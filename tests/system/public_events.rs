//! The contract of the public events: their schemas, their examples and the AsyncAPI description.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cqrs::PublicEvent;
use deployment::deployment;
use local::{
    asyncapi,
    testing::{assert_public_samples, assert_public_schemas},
};
use orders::{PublicOrderEvent, shipping_deadline::reminders::PublicReminder};
use serde_json::Value;

use crate::harness::System;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document() -> Value {
    asyncapi::document(&deployment()).unwrap()
}

#[test]
fn each_public_event_has_a_schema_that_is_compatible_with_all_released_ones() {
    assert_public_schemas(&deployment(), root().join("schemas"));
}

#[test]
fn each_public_event_has_a_sample() {
    assert_public_samples(&deployment(), root().join("shared/orders/public"));
}

#[test]
fn the_checked_in_description_is_up_to_date() {
    let checked_in = fs::read_to_string(root().join("asyncapi.json")).unwrap_or_default();
    assert!(
        checked_in == asyncapi::json(&deployment()).unwrap(),
        "out of date; run: cargo local asyncapi > asyncapi.json"
    );
}

#[test]
fn the_system_sends_every_public_event_on_the_bus() {
    let document = document();
    let schemas = PublicOrderEvent::SCHEMAS.iter().chain(PublicReminder::SCHEMAS);
    let types: BTreeSet<&str> = schemas.map(|(name, _)| *name).collect();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert!(names(&document["channels"]["events"]["messages"]).iter().eq(&types));
    assert!(names(&document["components"]["messages"]).iter().eq(&types));
    let operation = &document["operations"]["order-publication"];
    assert_eq!(operation["action"], "send");
    assert_eq!(operation["messages"].as_array().unwrap().len(), PublicOrderEvent::SCHEMAS.len());
}

#[test]
fn every_attribute_of_an_envelope_is_described() {
    let document = document();
    let described = document["components"]["schemas"]["envelope"]["properties"].as_object().unwrap();
    let mut shown = BTreeSet::new();
    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        let example = message["examples"][0]["payload"].as_object().unwrap();
        assert_eq!(example["type"], name.as_str());
        shown.extend(example.keys());
    }
    // The examples together have all attributes, those without a value in some events too.
    assert_eq!(shown, described.keys().collect());
}

#[test]
fn no_public_event_has_an_address_a_tracking_number_or_a_reason() {
    let document = document().to_string();
    for private in ["Main Street", "JD0123456789", "changed my mind", "shipping_address", "tracking", "reason"] {
        assert!(!document.contains(private), "{private}");
    }
}

#[tokio::test]
async fn the_description_is_served() {
    let system = System::start().await;
    assert_eq!(system.operator().get("/asyncapi.json").await.expect(200).document, document());
}
