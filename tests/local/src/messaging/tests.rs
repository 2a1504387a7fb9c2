//! Tests through the unmodified SDKs.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_scheduler::types::{ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use serde_json::json;

use super::{
    event_bus::{Rule, RuleTarget},
    event_pattern::EventPattern,
    queue::RedrivePolicy,
    target_input::TargetInput,
    *,
};

/// A stack's messaging, its clock in seconds, and its clients.
struct Sdks {
    messaging: Messaging,
    clock: Arc<AtomicI64>,
    events: aws_sdk_eventbridge::Client,
    queues: aws_sdk_sqs::Client,
    scheduler: aws_sdk_scheduler::Client,
}

fn resources() -> MessagingResources {
    let mut buses = EventBuses::new(["Library".to_owned()]);
    let pattern = EventPattern::parse(&json!({ "detail-type": ["loan.extended"] })).unwrap();
    let target = RuleTarget { queue: "Signals".to_owned(), input: TargetInput::WholeEvent, message_group: None };
    buses.add_rule("Library", Rule { pattern, targets: vec![target] });
    let redrive = Some(RedrivePolicy { dead_letters: "Dead".to_owned(), max_receives: 1 });
    let queues = [
        ("Signals", QueueDefinition { redrive, ..QueueDefinition::default() }),
        ("Dead", QueueDefinition::default()),
        ("Loans.fifo", QueueDefinition { fifo: true, ..QueueDefinition::default() }),
    ];
    MessagingResources {
        buses,
        queues: queues.map(|(name, definition)| (name.to_owned(), definition)).into(),
        schedule_groups: vec!["Timers".to_owned()],
    }
}

fn environment(clock: &Arc<AtomicI64>) -> Environment {
    let (time, random) = (Arc::clone(clock), AtomicU64::new(1));
    Environment::new(
        move || Timestamp::from_second(time.load(Ordering::SeqCst)).unwrap(),
        move || u128::from(random.fetch_add(1, Ordering::SeqCst)).to_be_bytes(),
    )
}

/// The clients of all services, with this HTTP client.
macro_rules! client {
    ($sdk:ident, $http:expr) => {{
        use $sdk::config::{BehaviorVersion, Credentials, Region};
        let config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new("local", "local", None, None, "test"))
            .endpoint_url("http://in-process")
            .http_client($http);
        $sdk::Client::from_conf(config.build())
    }};
}

fn sdks(messaging: Messaging, clock: Arc<AtomicI64>) -> Sdks {
    let http = SharedHttpClient::new(messaging.clone());
    Sdks {
        events: client!(aws_sdk_eventbridge, http.clone()),
        queues: client!(aws_sdk_sqs, http.clone()),
        scheduler: client!(aws_sdk_scheduler, http),
        messaging,
        clock,
    }
}

fn start() -> Sdks {
    let clock = Arc::new(AtomicI64::new(1_795_341_600));
    sdks(Messaging::new(resources(), environment(&clock)), clock)
}

impl Sdks {
    async fn receive(&self, queue: &str) -> Vec<Message> {
        let received = self.queues.receive_message().queue_url(queues::url_of(queue)).max_number_of_messages(10);
        let received = received.message_system_attribute_names(MessageSystemAttributeName::All);
        received.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default()
    }

    async fn schedule(&self, name: &str, expression: &str) -> Result<(), aws_sdk_scheduler::Error> {
        let target = Target::builder().arn(queues::arn_of("Signals")).role_arn("arn:aws:iam::000000000000:role/Timers");
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().unwrap();
        let create = self.scheduler.create_schedule().name(name).group_name("Timers").schedule_expression(expression);
        let create = create.target(target.input("{\"loan\":7}").build().unwrap()).flexible_time_window(window);
        create.action_after_completion(ActionAfterCompletion::Delete).send().await?;
        Ok(())
    }
}

fn event(bus: &str, detail: &str) -> PutEventsRequestEntry {
    let entry = PutEventsRequestEntry::builder().event_bus_name(bus).source("library").detail_type("loan.extended");
    entry.detail(detail).build()
}

#[tokio::test]
async fn an_event_that_matches_a_rule_arrives_in_its_queue() {
    let sdks = start();
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    sdks.messaging.on_event({
        let seen = Arc::clone(&seen);
        move |bus, event| seen.lock().unwrap().push(json!([bus, event["detail"]]))
    });
    let entries = [event("Library", "{\"days\":14}"), event("Library", "[]")];
    let put = sdks.events.put_events().set_entries(Some(entries.into())).send().await.unwrap();
    assert_eq!(put.failed_entry_count, 1);
    let codes: Vec<_> = put.entries().iter().map(|entry| entry.error_code()).collect();
    assert_eq!(codes, [None, Some("MalformedDetail")]);
    let messages = sdks.receive("Signals").await;
    let received: Value = serde_json::from_str(messages[0].body().unwrap()).unwrap();
    assert_eq!((messages.len(), &received["detail"]), (1, &json!({ "days": 14 })));
    assert_eq!(received["id"].as_str(), put.entries()[0].event_id());
    assert_eq!(*seen.lock().unwrap(), [json!(["Library", { "days": 14 }])]);
}

#[tokio::test]
async fn an_event_for_an_unknown_bus_is_an_error() {
    let put = start().events.put_events().entries(event("Shop", "{}")).send().await;
    let error = aws_sdk_eventbridge::Error::from(put.unwrap_err());
    let code = aws_sdk_eventbridge::error::ProvideErrorMetadata::code(&error);
    assert_eq!(code, Some("ResourceNotFoundException"));
}

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let sdks = start();
    let url = sdks.queues.get_queue_url().queue_name("Dead").send().await.unwrap().queue_url.unwrap();
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("malformed").build().unwrap();
    let send = sdks.queues.send_message().queue_url(&url).message_body("hello world");
    let sent = send.message_attributes("reason", attribute).send().await.unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("5eb63bbbe01eeed093cb22bb8f5acdc3"));
    let message = sdks.receive("Dead").await.remove(0);
    assert_eq!((message.message_id(), message.body()), (sent.message_id(), Some("hello world")));
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert_eq!(message.message_attributes().unwrap()["reason"].string_value(), Some("malformed"));
    let system = |name| message.attributes().unwrap()[&name].as_str();
    assert_eq!(system(MessageSystemAttributeName::ApproximateReceiveCount), "1");
    assert_eq!(system(MessageSystemAttributeName::SentTimestamp), "1795341600000");
    assert_eq!(sdks.messaging.counts("Dead"), Some(QueueCounts { in_flight: 1, ..QueueCounts::default() }));
    let entry = |id: &str, receipt: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(receipt).build().unwrap()
    };
    let delete = sdks.queues.delete_message_batch().queue_url(&url);
    let delete = delete.entries(entry("a", message.receipt_handle().unwrap())).entries(entry("b", "what"));
    let deleted = delete.send().await.unwrap();
    assert_eq!((deleted.successful()[0].id(), deleted.failed()[0].id()), ("a", "b"));
    assert_eq!(sdks.messaging.counts("Dead"), Some(QueueCounts::default()));
}

#[tokio::test]
async fn a_message_that_is_not_deleted_moves_to_the_dead_letters() {
    let sdks = start();
    sdks.queues.send_message().queue_url(queues::url_of("Signals")).message_body("a").send().await.unwrap();
    let first = sdks.receive("Signals").await.remove(0);
    sdks.clock.fetch_add(30, Ordering::SeqCst);
    assert!(sdks.receive("Signals").await.is_empty());
    let dead = sdks.receive("Dead").await.remove(0);
    assert_eq!(dead.message_id(), first.message_id());
    let attributes = sdks.queues.get_queue_attributes().queue_url(queues::url_of("Signals"));
    let attributes = attributes.attribute_names(QueueAttributeName::All).send().await.unwrap().attributes.unwrap();
    assert!(attributes[&QueueAttributeName::RedrivePolicy].contains("\"arn:aws:sqs:local:000000000000:Dead\""));
}

#[tokio::test]
async fn a_fifo_queue_absorbs_a_repeat_in_a_batch() {
    let sdks = start();
    let entry = |id: &str, deduplication: &str| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(id).message_group_id("7");
        entry.message_deduplication_id(deduplication).build().unwrap()
    };
    let batch = sdks.queues.send_message_batch().queue_url(queues::url_of("Loans.fifo"));
    let batch = batch.entries(entry("a", "1")).entries(entry("b", "1")).entries(entry("c", "2")).send().await.unwrap();
    assert_eq!(batch.successful()[0].sequence_number(), batch.successful()[1].sequence_number());
    let bodies: Vec<_> = sdks.receive("Loans.fifo").await.into_iter().filter_map(|message| message.body).collect();
    assert_eq!(bodies, ["a", "c"]);
}

#[tokio::test]
async fn an_unknown_queue_is_an_error_that_the_sdk_recognises() {
    let sent = start().queues.send_message().queue_url(queues::url_of("Others")).message_body("a").send().await;
    assert!(sent.unwrap_err().into_service_error().is_queue_does_not_exist());
    let url = start().queues.get_queue_url().queue_name("Others").send().await;
    assert!(url.unwrap_err().into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn a_schedule_sends_its_input_when_the_clock_reaches_it() {
    let sdks = start();
    sdks.schedule("loan-7", "at(2026-11-22T11:00:00)").await.unwrap();
    assert_eq!(sdks.messaging.next_due().map(|due| due.to_string()).as_deref(), Some("2026-11-22T11:00:00Z"));
    let get = || sdks.scheduler.get_schedule().name("loan-7").group_name("Timers").send();
    assert_eq!(get().await.unwrap().schedule_expression(), Some("at(2026-11-22T11:00:00)"));
    assert!(sdks.receive("Signals").await.is_empty());
    sdks.clock.fetch_add(3600, Ordering::SeqCst);
    assert_eq!(sdks.receive("Signals").await[0].body(), Some("{\"loan\":7}"));
    assert!(get().await.unwrap_err().into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn errors_of_the_scheduler_are_those_that_the_sdk_knows() {
    use aws_sdk_scheduler::Error;
    let sdks = start();
    sdks.schedule("loan-7", "at(2026-11-22T11:00:00)").await.unwrap();
    let again = sdks.schedule("loan-7", "at(2026-11-22T11:00:00)").await;
    assert!(matches!(again, Err(Error::ConflictException(_))), "{again:?}");
    let malformed = sdks.schedule("loan-8", "soon").await;
    assert!(matches!(malformed, Err(Error::ValidationException(_))), "{malformed:?}");
    let delete = || sdks.scheduler.delete_schedule().name("loan-7").group_name("Timers").send();
    delete().await.unwrap();
    assert!(delete().await.unwrap_err().into_service_error().is_resource_not_found_exception());
    let list = sdks.scheduler.list_schedules().group_name("Timers").send().await.unwrap();
    assert!(list.schedules().is_empty());
}

/// Drops every message of a rule, and doubles every message of a schedule.
struct Faults;

impl Interceptor for Faults {
    fn before_message(&self, message: &RoutedMessage) -> MessageFault {
        if message.body.contains("loan.extended") { MessageFault::Dropped } else { MessageFault::Doubled }
    }
}

#[tokio::test]
async fn an_interceptor_drops_and_doubles_messages_of_rules_and_schedules() {
    let Sdks { messaging, clock, .. } = start();
    let sdks = sdks(messaging.with_interceptor(Arc::new(Faults)), clock);
    sdks.events.put_events().entries(event("Library", "{}")).send().await.unwrap();
    sdks.schedule("loan-7", "at(2026-11-22T11:00:00)").await.unwrap();
    sdks.clock.fetch_add(3600, Ordering::SeqCst);
    let bodies: Vec<_> = sdks.receive("Signals").await.into_iter().filter_map(|message| message.body).collect();
    assert_eq!(bodies, ["{\"loan\":7}", "{\"loan\":7}"]);
}

#[tokio::test]
async fn stored_messages_and_schedules_are_there_after_a_restart() {
    let directory = std::env::temp_dir().join(format!("messaging-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    let clock = Arc::new(AtomicI64::new(1_795_341_600));
    let open = || {
        let store = MessagingStore::open(&directory).unwrap();
        sdks(Messaging::restore(resources(), environment(&clock), store).unwrap(), Arc::clone(&clock))
    };
    let sdks = open();
    for body in ["kept", "deleted"] {
        sdks.queues.send_message().queue_url(queues::url_of("Dead")).message_body(body).send().await.unwrap();
    }
    let deleted = sdks.receive("Dead").await.remove(1);
    let delete = sdks.queues.delete_message().queue_url(queues::url_of("Dead"));
    delete.receipt_handle(deleted.receipt_handle.unwrap()).send().await.unwrap();
    sdks.schedule("loan-7", "at(2026-11-22T11:00:00)").await.unwrap();
    // No shutdown: the file has everything that was answered, as after SIGKILL.
    let restarted = open();
    assert!(restarted.receive("Dead").await.is_empty(), "the message is still in flight");
    clock.fetch_add(3600, Ordering::SeqCst);
    let kept = restarted.receive("Dead").await;
    assert_eq!((kept.len(), kept[0].body()), (1, Some("kept")));
    assert_eq!(restarted.receive("Signals").await.len(), 1);
    std::fs::remove_dir_all(&directory).unwrap();
}
