use std::sync::{
    Mutex,
    atomic::{AtomicI64, Ordering},
};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use serde_json::{Value, json};

use super::*;
use crate::messaging::{
    Messaging, MessagingResources,
    event_bus::EventBuses,
    queue::{QueueCounts, QueueDefinition, RedrivePolicy},
    queues::{arn_of, url_of},
};

/// A mapping from the queue `Signals` to a function that records the bodies of each batch.
struct Fixture {
    messaging: Messaging,
    sqs: aws_sdk_sqs::Client,
    mapping: QueueMapping,
    batches: Arc<Mutex<Vec<Vec<String>>>>,
    clock: Arc<AtomicI64>,
}

/// `respond` returns the response for a batch, or `None` if the function fails.
fn fixture(respond: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static) -> Fixture {
    let clock = Arc::new(AtomicI64::new(0));
    let now = Arc::clone(&clock);
    let environment = Environment::new(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap(), || [7; 16]);
    let redrive = Some(RedrivePolicy { dead_letters: "Dead".to_owned(), max_receives: 3 });
    let queues = [
        ("Signals".to_owned(), QueueDefinition { redrive, ..QueueDefinition::default() }),
        ("Dead".to_owned(), QueueDefinition::default()),
    ];
    let resources =
        MessagingResources { buses: EventBuses::new([]), queues: queues.into(), schedule_groups: Vec::new() };
    // Ids must differ, so they count.
    let (number, base) = (AtomicI64::new(0), environment.clone());
    let environment =
        Environment::new(move || base.now(), move || i128::from(number.fetch_add(1, Ordering::SeqCst)).to_be_bytes());
    let messaging = Messaging::new(resources, environment.clone());
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .endpoint_url("http://in-process")
        .http_client(SharedHttpClient::new(messaging.clone()));
    let sqs = aws_sdk_sqs::Client::from_conf(config.build());
    let batches: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let (seen, respond) = (Arc::clone(&batches), Arc::new(respond));
    let function = Function::new(Duration::from_secs(10), move |event, _| {
        let (seen, respond) = (Arc::clone(&seen), Arc::clone(&respond));
        Box::pin(async move {
            let records = event["Records"].as_array().unwrap();
            seen.lock().unwrap().push(records.iter().map(|r| r["body"].as_str().unwrap().to_owned()).collect());
            respond(&event).ok_or_else(|| "failed".to_owned())
        })
    });
    let definition = QueueMappingDefinition {
        queue: "Signals".to_owned(),
        batch_size: 3,
        window: Duration::ZERO,
        reports_failures: true,
        max_concurrency: None,
    };
    let address = QueueAddress { url: url_of("Signals"), arn: arn_of("Signals") };
    let mapping = QueueMapping::new(sqs.clone(), address, definition, function, environment);
    Fixture { messaging, sqs, mapping, batches, clock }
}

impl Fixture {
    async fn send(&self, bodies: &[&str]) {
        for body in bodies {
            self.sqs.send_message().queue_url(url_of("Signals")).message_body(*body).send().await.unwrap();
        }
    }

    fn batches(&self) -> Vec<Vec<String>> {
        self.batches.lock().unwrap().clone()
    }

    fn dead(&self) -> Vec<String> {
        self.messaging.messages("Dead").into_iter().map(|message| message.body).collect()
    }
}

/// Reports the messages with the body `bad`.
fn report_bad(event: &Value) -> Option<Value> {
    let bad = event["Records"].as_array()?.iter().filter(|record| record["body"] == "bad");
    let failures: Vec<_> = bad.map(|record| json!({ "itemIdentifier": record["messageId"] })).collect();
    Some(json!({ "batchItemFailures": failures }))
}

#[tokio::test]
async fn messages_are_delivered_in_batches_and_deleted() {
    let mut fixture = fixture(|_| Some(Value::Null));
    fixture.send(&["1", "2", "3", "4"]).await;
    assert_eq!(fixture.mapping.drain().await.unwrap(), 2);
    assert_eq!(fixture.batches(), [vec!["1", "2", "3"], vec!["4"]]);
    assert_eq!(fixture.messaging.counts("Signals"), Some(QueueCounts::default()));
    assert_eq!(fixture.mapping.step().await.unwrap(), QueueStep::Idle);
}

#[tokio::test]
async fn only_a_reported_message_is_delivered_again() {
    let mut fixture = fixture(report_bad);
    fixture.send(&["1", "bad", "2"]).await;
    fixture.mapping.drain().await.unwrap();
    assert_eq!(fixture.batches(), [vec!["1", "bad", "2"], vec!["bad"], vec!["bad"]]);
    assert_eq!(fixture.dead(), ["bad"]);
}

#[tokio::test]
async fn a_whole_batch_is_delivered_again_after_an_error() {
    let mut fixture = fixture(|_| None);
    fixture.send(&["1", "2"]).await;
    fixture.mapping.drain().await.unwrap();
    assert_eq!(fixture.batches(), vec![vec!["1", "2"]; 3]);
    assert_eq!(fixture.dead(), ["1", "2"]);
}

#[tokio::test]
async fn a_batch_that_an_invocation_has_not_finished_is_visible_after_its_timeout() {
    let mut fixture = fixture(|_| Some(Value::Null));
    fixture.send(&["1"]).await;
    // The mapping dies with the batch.
    fixture.mapping.gather().await.unwrap();
    fixture.mapping.gathered.clear();
    assert_eq!(fixture.mapping.step().await.unwrap(), QueueStep::Idle);
    fixture.clock.store(30, Ordering::SeqCst);
    assert_eq!(fixture.mapping.step().await.unwrap(), QueueStep::Delivered(QueueOutcome::Success));
}

#[tokio::test]
async fn a_batch_waits_for_its_window_unless_it_is_full() {
    let mut fixture = fixture(|_| Some(Value::Null));
    fixture.mapping.definition.window = Duration::from_secs(5);
    fixture.send(&["1", "2"]).await;
    fixture.mapping.gather().await.unwrap();
    assert!(!fixture.mapping.is_gathered());
    fixture.clock.store(5, Ordering::SeqCst);
    assert!(fixture.mapping.is_gathered());
    fixture.clock.store(0, Ordering::SeqCst);
    fixture.send(&["3", "4"]).await;
    fixture.mapping.gather().await.unwrap();
    assert!(fixture.mapping.is_gathered());
    assert_eq!(fixture.mapping.gathered.len(), 3);
}

#[tokio::test]
async fn every_message_is_delivered_under_chaos() {
    let template = crate::Template::parse("Resources: {}").unwrap();
    let mut injected = BTreeSet::new();
    for seed in 1..=20 {
        let mut fixture = fixture(|_| Some(Value::Null));
        let chaos = Arc::new(Chaos::new(seed, &template));
        fixture.mapping = fixture.mapping.with_chaos(Arc::clone(&chaos));
        let bodies: Vec<_> = (0..40).map(|number| number.to_string()).collect();
        fixture.send(&bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
        fixture.mapping.drain().await.unwrap();
        chaos.stop().await;
        let delivered: BTreeSet<_> = fixture.batches().into_iter().flatten().collect();
        let accounted = delivered.iter().cloned().chain(fixture.dead()).collect::<BTreeSet<_>>();
        assert_eq!(accounted, bodies.into_iter().collect(), "seed {seed}");
        injected.extend(chaos.injected().into_keys());
    }
    assert_eq!(injected.len(), 7, "{injected:?}");
}
