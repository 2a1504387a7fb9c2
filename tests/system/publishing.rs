//! Publishing the events of orders: from the stream to the bus, at least once and in order.

use check::consumer::{Consumer, Receipt};
use cqrs::StreamId;
use cqrs_dynamodb::RepublishFrom;
use domains::Domains;
use local::{engine::interceptor::Fault, event_source_mapping::DeliveryStep};
use maintain::{rebuild::rebuild, redrive, republish::republish, segments::Checkpoint};
use messaging::publisher;
use serde_json::{Value, json};

use crate::harness::System;

fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["detail"]["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn other_systems_hear_of_an_order_without_private_fields() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let events = system.publish().await;
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&event["source"], &event["detail-type"]), (&json!("orders"), &json!("order.placed")));
    let detail = &event["detail"];
    let expected = json!({
        "specversion": "1.0", "id": format!("order#{id}/1/0"), "source": "orders", "type": "order.placed",
        "subject": format!("order#{id}"), "time": detail["time"], "datacontenttype": "application/json",
        "dataschema": "https://cqrs-on-lambda.example/schemas/order.placed.v1.json", "sequence": "1",
        "data": detail["data"],
    });
    assert_eq!(detail, &expected);
    assert_eq!((&detail["data"]["order_id"], &detail["data"]["customer_id"]), (&json!(id), &json!("alice")));
    assert!(!event.to_string().contains("Main Street"), "{event}");
}

#[tokio::test]
async fn each_event_of_an_order_is_published_once_and_names_the_one_before_it() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.publish().await;
    system.fulfilment().ships(&id).await;
    system.operator().post(format!("/orders/{id}/deliver")).await.expect(200);
    let events = system.publish().await;
    assert_eq!(ids(&events), [format!("order#{id}/2/0"), format!("order#{id}/3/0")]);
    let previous: Vec<_> = events.iter().map(|event| event["detail"]["previousid"].as_str().unwrap()).collect();
    assert_eq!(previous, [format!("order#{id}/1/0"), format!("order#{id}/2/0")]);
    assert!(system.publish().await.is_empty());
}

#[tokio::test]
async fn a_consumer_by_the_recipe_sees_each_event_once_after_a_repeat_of_the_whole_stream() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.fulfilment().ships(&id).await;
    let mut events = system.publish().await;
    events.extend(system.publish_again().await);
    let mut consumer = Consumer::default();
    let receipts: Vec<_> = events.iter().map(|event| consumer.receive(&event["detail"]).unwrap()).collect();
    assert_eq!(receipts.iter().filter(|receipt| **receipt == Receipt::Applied).count(), 2);
    assert!(!receipts.contains(&Receipt::TooEarly), "{receipts:?}");
}

#[tokio::test]
async fn an_event_that_the_bus_does_not_take_is_published_by_a_later_delivery() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    // The service denies the call, so the SDK does not retry it, and the publisher tries ten times.
    system.interceptor.inject("PutEvents", Fault::AccessDenied, 10);
    assert!(
        matches!(system.publish_a_batch().await, DeliveryStep::Delivered(outcome) if format!("{outcome:?}") != "Success")
    );
    assert!(system.take_published().is_empty());
    assert_eq!(ids(&system.publish().await), [format!("order#{id}/1/0")]);
    assert_eq!(system.take_metrics()["EventsPublished"], 1);
}

#[tokio::test]
async fn a_publisher_that_dies_after_sending_publishes_again() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.interceptor.inject("PutItem", Fault::AccessDenied, 1);
    system.publish_a_batch().await;
    let once = ids(&system.take_published());
    let again = ids(&system.publish().await);
    assert_eq!((once, again), (vec![format!("order#{id}/1/0")], vec![format!("order#{id}/1/0")]));
}

#[tokio::test]
async fn a_commit_that_cannot_be_read_parks_its_order_in_the_publication_until_a_redrive() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let other = system.customer("alice").places_order("second").await;
    system.append_raw(&id, 2, json!([{ "type": "order.lost", "schema": 1, "data": {} }])).await;
    let events = system.publish().await;
    assert_eq!(ids(&events).len(), 2);
    assert!(ids(&events).contains(&format!("order#{other}/1/0")));
    let app = &system.stack.app;
    let parked = redrive::parked::<Domains>(app).await.unwrap();
    assert_eq!(parked["order-publication"].len(), 1);
    let streams = redrive::streams::<Domains>(app, &[]).await.unwrap();
    redrive::redrive::<Domains>(app, &streams).await.unwrap();
    assert!(system.take_published().is_empty(), "the commit still cannot be read");
}

#[tokio::test]
async fn a_rebuild_publishes_what_a_lost_batch_left_out() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    let report = rebuild::<Domains>(&system.stack.app, Checkpoint::start(2), |_, _| {}).await.unwrap();
    assert!(report.failed.is_empty());
    let by_rebuild = system.take_published();
    assert_eq!(ids(&by_rebuild), [format!("order#{id}/1/0")]);
    // A record of a first commit assumes that nothing is published yet. Its event is published again.
    assert_eq!(ids(&system.publish().await), ids(&by_rebuild));
    assert!(system.publish().await.is_empty());
}

#[tokio::test]
async fn events_are_sent_again_on_request() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.fulfilment().ships(&id).await;
    system.publish().await;
    let stream = StreamId::try_from(format!("order#{id}")).unwrap();
    let publisher = publisher::<Domains>(&system.stack.app).unwrap();
    let republished = republish(&publisher, &[stream], RepublishFrom::Start).await;
    assert_eq!((republished.streams, republished.events), (1, 2));
    assert_eq!(ids(&system.take_published()), [format!("order#{id}/1/0"), format!("order#{id}/2/0")]);
}

#[tokio::test]
async fn publishing_an_order_costs_a_write_unit_and_from_version_2_on_half_a_read_unit() {
    let system = System::start().await;
    let id = system.customer("alice").places_order("first").await;
    system.interceptor.take_costs();
    system.publish().await;
    assert_eq!(costs(&system), [("PutItem".to_owned(), 1.0)]);
    system.fulfilment().ships(&id).await;
    system.interceptor.take_costs();
    system.publish().await;
    assert_eq!(costs(&system), [("BatchGetItem".to_owned(), 0.5), ("PutItem".to_owned(), 1.0)]);
}

fn costs(system: &System) -> Vec<(String, f64)> {
    system.interceptor.take_costs()
}
