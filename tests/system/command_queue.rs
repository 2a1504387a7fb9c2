//! Commands in the messages of a queue: each outcome, redeliveries, and the order of messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use cqrs::Id;
use local::{
    chaos::Chaos,
    engine::interceptor::{EngineCall, Fault},
    functions::FunctionError,
    messaging::queue::QueuedMessage,
};
use orders::{Order, order::OrderId};
use serde_json::{Value, json};

use crate::harness::{System, canary, cancellation, engine, order, shipment, template};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:CommandQueue";

/// A system with the events on its bus.
struct QueueSystem {
    system: System,
    events: Arc<Mutex<Vec<Value>>>,
}

impl QueueSystem {
    /// A system whose queue has the scopes of the template.
    async fn start() -> Self {
        Self::of(System::start().await)
    }

    async fn with_scopes(scopes: &str) -> Self {
        Self::of(System::start_with(template_with_scopes(scopes)).await)
    }

    fn of(system: System) -> Self {
        let events = Arc::<Mutex<Vec<Value>>>::default();
        let heard = Arc::clone(&events);
        system.stack.messaging.on_event(move |_, event| heard.lock().unwrap().push(event.clone()));
        Self { system, events }
    }

    async fn invoke(&self, event: Value) -> Result<Value, FunctionError> {
        let now = self.system.stack.app.dynamo.environment.now().as_millisecond();
        self.system.stack.function("command-queue").unwrap().invoke(event, now).await
    }

    /// Delivers a batch. Returns the ids of the messages that are to be delivered again.
    async fn deliver(&self, messages: &[Value]) -> Vec<String> {
        let response = self.invoke(json!({ "Records": messages })).await.unwrap();
        let failures = response["batchItemFailures"].as_array().unwrap();
        failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }

    /// Sends messages to the queue, and delivers until it is empty.
    async fn send(&self, bodies: impl IntoIterator<Item = Value>, chaos: Option<&Arc<Chaos>>) {
        let mappings = self.system.stack.queue_mappings();
        let mut mapping = mappings.into_iter().find(|mapping| mapping.queue() == "CommandQueue").unwrap();
        if let Some(chaos) = chaos {
            mapping = mapping.with_chaos(Arc::clone(chaos));
        }
        let url = format!("http://in-process/000000000000/{}", self.system.stack.queue_name("CommandQueue"));
        let sqs = self.system.stack.sqs();
        for body in bodies {
            sqs.send_message().queue_url(&url).message_body(body.to_string()).send().await.unwrap();
        }
        mapping.drain().await.unwrap();
    }

    fn take_events(&self) -> Vec<Value> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    fn dead_letters(&self) -> Vec<QueuedMessage> {
        self.system.stack.messaging.messages(&self.system.stack.queue_name("CommandDeadLetters"))
    }

    /// Returns the detail of the only event since the last call.
    #[track_caller]
    fn rejection(&self) -> Value {
        let [event] = &self.take_events()[..] else { panic!("not one event") };
        let detail = event["detail"].clone();
        assert_eq!((&event["detail-type"], &event["source"]), (&detail["type"], &json!("orders")));
        canary::record("rejection", &detail.to_string());
        detail
    }

    async fn version(&self, order_id: &str) -> Option<u64> {
        let mut version = 0;
        while self.system.commit_item(order_id, version + 1).await.is_some() {
            version += 1;
        }
        (version > 0).then_some(version)
    }
}

fn template_with_scopes(scopes: &str) -> local::Template {
    let mut template = template();
    let function = template.functions.get_mut("command-queue").unwrap();
    function.environment.insert("COMMAND_SCOPES".to_owned(), scopes.to_owned());
    template
}

/// An attribute of a dead letter.
fn attribute(letter: &QueuedMessage, name: &str) -> Value {
    letter.attributes.get(name).map(|attribute| attribute["StringValue"].clone()).unwrap_or_default()
}

fn message(id: &str, body: impl ToString) -> Value {
    json!({
        "messageId": id, "receiptHandle": "handle", "body": body.to_string(), "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE, "attributes": {}, "messageAttributes": {},
    })
}

fn ship(order_id: &str) -> Value {
    json!({ "type": "ship-order", "order_id": order_id, "data": shipment() })
}

fn deliver(order_id: &str) -> Value {
    json!({ "type": "deliver-order", "order_id": order_id, "data": {} })
}

fn place() -> Value {
    json!({ "type": "place-order", "data": order() })
}

#[tokio::test]
async fn an_accepted_command_is_a_commit_of_the_caller_of_the_queue() {
    let queue = QueueSystem::start().await;
    let id = queue.system.customer("alice").places_order("first").await;
    let mut shipped = message("m-1", ship(&id));
    shipped["messageAttributes"]["traceparent"] = json!({ "dataType": "String", "stringValue": TRACE });
    assert_eq!(queue.deliver(&[shipped.clone()]).await, Vec::<String>::new());
    let commit = queue.system.commit_item(&id, 2).await.unwrap();
    assert_eq!(commit["caller"].as_s().unwrap(), "command-queue");
    assert_eq!(commit["trace"].as_s().unwrap(), TRACE);
    // A redelivery finds the commit.
    assert_eq!(queue.deliver(&[shipped]).await, Vec::<String>::new());
    assert_eq!(queue.version(&id).await, Some(2));
    assert!(queue.take_events().is_empty() && queue.dead_letters().is_empty());
    let metrics = queue.system.take_metrics();
    assert_eq!((&metrics["CommandsAccepted"], &metrics["CommandsReplayed"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn the_id_of_a_placed_order_follows_from_the_key_or_else_from_the_id_of_the_message() {
    let queue = QueueSystem::with_scopes("orders/write").await;
    let mut with_key = place();
    with_key["idempotency_key"] = json!("shop/1");
    assert!(queue.deliver(&[message("m-1", &with_key), message("m-2", place())]).await.is_empty());
    // The same command in another message is a repeat, because it has the same key.
    assert!(queue.deliver(&[message("m-3", &with_key), message("m-2", place())]).await.is_empty());
    for key in ["shop/1", "m-2"] {
        let id = OrderId::derived("command-queue", key).to_string();
        assert_eq!(queue.version(&id).await, Some(1), "{key}");
    }
    assert_eq!(queue.system.commit_items().await.len(), 2);
    assert!(queue.take_events().is_empty());
}

#[tokio::test]
async fn a_rejected_command_becomes_an_event_and_is_not_delivered_again() {
    let queue = QueueSystem::start().await;
    let id = queue.system.customer("alice").places_order("first").await;
    let mut delivered = message("m-1", deliver(&id));
    delivered["attributes"]["AWSTraceHeader"] =
        json!("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
    assert!(queue.deliver(&[delivered.clone()]).await.is_empty());
    let mut event = queue.rejection();
    let time = event["time"].take();
    assert!(time.as_str().unwrap().starts_with("2026-11-22T10:00:"), "{time}");
    let expected = json!({
        "specversion": "1.0", "id": "rejection/m-1", "source": "orders", "type": "order.deliver-rejected",
        "subject": format!("order#{id}"), "time": null, "datacontenttype": "application/json",
        "dataschema": "https://cqrs-on-lambda.example/schemas/order.deliver-rejected.v1.json",
        "traceparent": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
        "data": {
            "reason": "not-shipped", "detail": "The command was rejected: the order has not been shipped.",
            "message_id": "m-1", "order_id": id, "order_status": "placed", "version": 1,
        },
    });
    assert_eq!(event, expected);
    assert!(queue.deliver(&[delivered]).await.is_empty());
    assert_eq!(queue.rejection()["id"], "rejection/m-1");
    assert_eq!(queue.version(&id).await, Some(1));
    canary::assert_clean();
}

#[tokio::test]
async fn each_rejection_has_its_reason() {
    let queue = QueueSystem::with_scopes("orders/fulfil orders/write").await;
    let id = queue.system.customer("alice").places_order("first").await;
    let unknown = OrderId::derived("nobody", "key").to_string();
    let with = |mut message: Value, name: &str, value: Value| {
        message[name] = value;
        message
    };
    assert!(queue.deliver(&[message("m-0", with(ship(&id), "idempotency_key", json!("key")))]).await.is_empty());
    let of_bob = with(place(), "data", {
        let mut order = order();
        order["customer_id"] = json!("bob");
        order
    });
    let other_shipment = json!({ "carrier": "DHL", "tracking_number": "2" });
    let cancel = json!({ "type": "cancel-order", "order_id": id, "data": cancellation() });
    for (body, event_type, reason, version) in [
        (ship(&unknown), "order.ship-rejected", "not-found", None),
        (ship(&id), "order.ship-rejected", "already-shipped", Some(2)),
        (with(deliver(&id), "expected_version", json!(1)), "order.deliver-rejected", "version-mismatch", Some(2)),
        (
            with(with(ship(&id), "idempotency_key", json!("key")), "data", other_shipment),
            "order.ship-rejected",
            "idempotency-key-reused",
            None,
        ),
        // The order belongs to another customer.
        (cancel, "order.cancel-rejected", "not-found", None),
        (of_bob, "order.place-rejected", "forbidden", None),
    ] {
        assert!(queue.deliver(&[message("m-1", &body)]).await.is_empty(), "{body}");
        let event = queue.rejection();
        assert_eq!((&event["type"], &event["data"]["reason"]), (&json!(event_type), &json!(reason)), "{body}");
        assert_eq!(event["data"]["version"].as_u64(), version, "{body}");
        assert_eq!(event["data"]["order_id"], body["order_id"], "{body}");
        assert_eq!(event["subject"].is_null(), body["order_id"].is_null(), "{body}");
    }
    let limited = QueueSystem::start().await;
    assert!(limited.deliver(&[message("m-1", place())]).await.is_empty());
    assert_eq!(limited.rejection()["data"]["reason"], "forbidden");
    canary::assert_clean();
}

#[tokio::test]
async fn a_malformed_message_goes_unchanged_to_the_dead_letters_with_the_reason() {
    let queue = QueueSystem::start().await;
    let id = queue.system.customer("alice").places_order("first").await;
    let body = json!({ "type": "ship-order", "order_id": id, "data": { "carrier": "", "tracking_number": "é\u{0}" } });
    let body = format!("  {body}\n");
    let letters = [message("m-1", &body), message("m-2", "{"), message("m-3", ship(&id))];
    assert!(queue.deliver(&letters).await.is_empty());
    let mut letters = queue.dead_letters();
    letters.sort_by_key(|letter| attribute(letter, "message_id").to_string());
    let [first, second] = &letters[..] else { panic!("not two letters") };
    assert_eq!((first.body.as_str(), second.body.as_str()), (body.as_str(), "{"));
    let of_both = |name: &str| [attribute(first, name), attribute(second, name)];
    assert_eq!(of_both("reason"), ["invalid-request", "malformed-request"]);
    assert_eq!(of_both("message_id"), ["m-1", "m-2"]);
    let errors: Value = serde_json::from_str(attribute(first, "errors").as_str().unwrap()).unwrap();
    assert_eq!(
        (&errors[0]["pointer"], &errors[1]["pointer"]),
        (&json!("/data/carrier"), &json!("/data/tracking_number"))
    );
    assert!(attribute(second, "errors").is_null());
    assert_eq!(queue.version(&id).await, Some(2), "a malformed message delays no other one");
    assert_eq!(queue.system.take_metrics()["CommandsMalformed"], 2);
}

#[tokio::test]
async fn a_message_stays_in_the_queue_until_its_outcome_is_reported() {
    let queue = QueueSystem::start().await;
    let id = queue.system.customer("alice").places_order("first").await;
    queue.system.interceptor.inject("PutEvents", Fault::AccessDenied, usize::MAX);
    queue.system.interceptor.inject("SendMessage", Fault::AccessDenied, usize::MAX);
    let batch = [message("m-1", deliver(&id)), message("m-2", "{"), message("m-3", ship(&id))];
    let mut failed = queue.deliver(&batch).await;
    failed.sort();
    assert_eq!(failed, ["m-1", "m-2"]);
    assert_eq!(queue.version(&id).await, Some(2), "an accepted command needs no report");
    assert!(queue.take_events().is_empty() && queue.dead_letters().is_empty());
    queue.system.interceptor.clear_faults();
    assert!(queue.deliver(&batch[1..2]).await.is_empty());
    assert_eq!(queue.dead_letters().len(), 1);
}

#[tokio::test]
async fn a_command_that_fails_is_delivered_again_and_delays_no_other_one() {
    let queue = QueueSystem::start().await;
    let (alice, broken) = (queue.system.customer("alice"), OrderId::derived("a", "broken").to_string());
    let id = alice.places_order("first").await;
    // The first commit is missing, so no command is decided on this stream.
    queue.system.append_raw(&broken, 2, json!([])).await;
    let batch = [message("m-1", ship(&broken)), message("m-2", ship(&id))];
    assert_eq!(queue.deliver(&batch).await, ["m-1"]);
    assert_eq!(queue.version(&id).await, Some(2));
    assert!(queue.take_events().is_empty() && queue.dead_letters().is_empty());
    assert_eq!(queue.system.take_metrics()["CommandsDelayed"], 1);
}

#[tokio::test]
async fn commands_for_the_same_order_are_executed_in_their_order() {
    let queue = QueueSystem::start().await;
    let alice = queue.system.customer("alice");
    let (first, second) = (alice.places_order("first").await, alice.places_order("second").await);
    let batch = [
        message("m-1", ship(&first)),
        message("m-2", ship(&second)),
        message("m-3", deliver(&first)),
        message("m-4", deliver(&second)),
    ];
    assert!(queue.deliver(&batch).await.is_empty());
    assert_eq!((queue.version(&first).await, queue.version(&second).await), (Some(3), Some(3)));
    assert!(queue.take_events().is_empty());
}

#[tokio::test]
async fn a_failure_stops_its_group_of_a_fifo_queue() {
    let queue = QueueSystem::start().await;
    let alice = queue.system.customer("alice");
    let (id, other) = (alice.places_order("first").await, alice.places_order("second").await);
    let broken = OrderId::derived("a", "broken").to_string();
    queue.system.append_raw(&broken, 2, json!([])).await;
    let in_group = |group: &str, id: &str, body: Value| {
        let mut message = message(id, body);
        message["attributes"]["MessageGroupId"] = json!(group);
        message["eventSourceARN"] = json!(format!("{QUEUE}.fifo"));
        message
    };
    let batch = [
        in_group("a", "m-1", json!({})),
        in_group("a", "m-2", ship(&broken)),
        in_group("b", "m-3", ship(&other)),
        in_group("a", "m-4", ship(&id)),
        in_group("a", "m-5", json!({})),
    ];
    assert_eq!(queue.deliver(&batch).await, ["m-2", "m-4", "m-5"]);
    assert_eq!((queue.version(&id).await, queue.version(&other).await), (Some(1), Some(2)));
    assert_eq!(queue.dead_letters().len(), 1, "a malformed message does not stop its group");
}

#[tokio::test]
async fn an_event_without_messages_or_a_message_without_an_id_fails() {
    let queue = QueueSystem::start().await;
    let id = queue.system.customer("alice").places_order("first").await;
    assert!(queue.invoke(json!({})).await.is_err());
    let event = json!({ "Records": [{ "body": ship(&id).to_string() }, message("m-1", ship(&id))] });
    assert!(queue.invoke(event).await.is_err());
    assert_eq!(queue.version(&id).await, Some(2), "the other messages are executed");
    // SQS sends no such message. Its whole record becomes the dead letter.
    assert!(queue.deliver(&[json!({ "messageId": "m-2", "body": 7 })]).await.is_empty());
    assert_eq!(queue.dead_letters()[0].body, r#"{"body":7,"messageId":"m-2"}"#);
}

#[tokio::test]
async fn the_delivery_of_a_carrier_delivers_the_order_once() {
    let queue = QueueSystem::start().await;
    let id = queue.system.customer("alice").places_order("first").await;
    queue.system.fulfilment().ships(&id).await;
    let bus = queue.system.stack.messaging.clone();
    let report = |detail: Value| {
        let bus = bus.clone();
        let event = json!({ "Source": "carrier", "DetailType": "parcel.delivered", "EventBusName": "EventBus" });
        let mut entry = event;
        entry["EventBusName"] = json!(queue.system.stack.app.aws.variable("EVENT_BUS").unwrap());
        entry["Detail"] = json!(detail.to_string());
        let call = EngineCall { operation: "PutEvents".to_owned(), body: json!({ "Entries": [entry] }) };
        bus.execute(&call).unwrap()
    };
    let delivered = json!({ "order_id": id, "delivery_id": "JD-1" });
    for detail in [delivered.clone(), delivered, json!({ "order_id": id })] {
        report(detail);
        queue.send([], None).await;
    }
    let commit = queue.system.commit_item(&id, 3).await.unwrap();
    assert_eq!(commit["caller"].as_s().unwrap(), "command-queue");
    assert_eq!(queue.version(&id).await, Some(3));
    // The repeat was absorbed, and the event without the id of the delivery did not match the rule.
    assert!(queue.take_events().iter().all(|event| event["source"] == "carrier"));
    report(json!({ "order_id": id, "delivery_id": "JD-2" }));
    queue.send([], None).await;
    let events = queue.take_events();
    assert_eq!(events.last().unwrap()["detail"]["data"]["reason"], "already-delivered");
}

/// The number of messages by their outcome.
struct Numbers {
    orders: usize,
    rejected: usize,
    malformed: usize,
}

/// Places and ships orders, each with a repeat of every eighth message, and sends rejected and malformed messages.
/// Checks that commits, events and dead letters are as tabled. Returns the number of messages.
async fn end_as_tabled(
    queue: &QueueSystem,
    Numbers { orders, rejected, malformed }: Numbers,
    chaos: Option<&Arc<Chaos>>,
) -> usize {
    let id = |number: usize| Id::<Order>::derived("command-queue", &format!("place-{number}")).to_string();
    let with_key = |mut body: Value, key: String| {
        body["idempotency_key"] = key.into();
        body
    };
    let doubled = |bodies: Vec<Value>| {
        let again: Vec<Value> = bodies.iter().step_by(8).cloned().collect();
        [bodies, again].concat()
    };
    let placed = doubled((0..orders).map(|n| with_key(place(), format!("place-{n}"))).collect());
    let mut others = doubled((0..orders).map(|n| with_key(ship(&id(n)), format!("ship-{n}"))).collect());
    others.extend((0..rejected).map(|n| deliver(&id(orders + n))));
    others.extend((0..malformed).map(|n| json!({ "type": "ship-order", "order_id": n })));
    // A fixed permutation, because no number of messages is a multiple of 7.
    let others: Vec<Value> = (0..others.len()).map(|n| others[n * 7 % others.len()].clone()).collect();
    let sent = placed.len() + others.len();
    queue.send(placed, chaos).await;
    queue.send(others, chaos).await;

    let mut versions: BTreeMap<String, usize> = BTreeMap::new();
    for commit in queue.system.commit_items().await {
        *versions.entry(commit["stream"].as_s().unwrap().clone()).or_default() += 1;
    }
    assert_eq!(versions, (0..orders).map(|n| (format!("order#{}", id(n)), 2)).collect());
    let events = queue.take_events();
    let ids: BTreeSet<&str> = events.iter().map(|event| event["detail"]["id"].as_str().unwrap()).collect();
    let subjects: BTreeSet<&str> = events.iter().map(|event| event["detail"]["subject"].as_str().unwrap()).collect();
    let unknown: Vec<String> = (0..rejected).map(|n| format!("order#{}", id(orders + n))).collect();
    assert_eq!((ids.len(), subjects), (rejected, unknown.iter().map(String::as_str).collect()));
    let letters = queue.dead_letters();
    let ids: BTreeSet<String> = letters.iter().map(|letter| attribute(letter, "message_id").to_string()).collect();
    assert_eq!(ids.len(), malformed);
    assert!(letters.iter().all(|letter| attribute(letter, "reason") == "invalid-request"));
    let left = queue.system.stack.messaging.messages(&queue.system.stack.queue_name("CommandQueue"));
    assert!(left.is_empty(), "{} messages are left", left.len());
    sent
}

#[tokio::test]
async fn a_thousand_messages_end_as_tabled() {
    let queue = QueueSystem::with_scopes("orders/fulfil orders/write").await;
    let sent = end_as_tabled(&queue, Numbers { orders: 400, rejected: 50, malformed: 50 }, None).await;
    assert_eq!(sent, 1000);
    let metrics = queue.system.take_metrics();
    let outcomes = ["CommandsAccepted", "CommandsReplayed", "CommandsRejected", "CommandsMalformed"];
    assert_eq!(outcomes.map(|name| metrics[name].as_u64().unwrap()), [800, 100, 50, 50]);
}

#[tokio::test]
async fn messages_end_as_tabled_under_chaos() {
    for seed in 1..=3 {
        let template = template_with_scopes("orders/fulfil orders/write");
        let chaos = Arc::new(Chaos::new(seed, &template));
        let queue =
            QueueSystem::of(System::start_with_engine(template, engine().with_interceptor(chaos.clone())).await);
        end_as_tabled(&queue, Numbers { orders: 40, rejected: 5, malformed: 5 }, Some(&chaos)).await;
    }
}
