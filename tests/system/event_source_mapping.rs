//! The event source mapping of the local stack, on a real stream.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use local::{
    event_source_mapping::{
        DeliveryStep, EventSourceMapping, files::MappingFiles, rules::BatchOutcome, stream_reader::StreamReader,
    },
    functions::Function,
    template::MappingDefinition,
};
use serde_json::{Value, json};

use crate::harness::{System, canary, template};

/// A temporary directory. Drop removes it.
struct TestDirectory(PathBuf);

impl TestDirectory {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("local-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }
}

impl Drop for TestDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn definition() -> MappingDefinition {
    template().functions["projector"].mappings[0].clone()
}

/// A mapping to a function that counts its invocations and responds with `respond`.
fn mapping(
    system: &System,
    definition: MappingDefinition,
    respond: fn(&Value) -> Result<Value, String>,
) -> (EventSourceMapping, Arc<AtomicUsize>) {
    let invocations = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&invocations);
    let function = Function::new(Duration::from_secs(5), move |event, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { respond(&event) })
    });
    let arn = system.stack.stream_arn("EventsTable").unwrap().to_owned();
    let environment = system.stack.app.dynamo.environment.clone();
    (EventSourceMapping::new(system.stack.engine().streams(), arn, definition, function, environment), invocations)
}

async fn place(system: &System, number: usize) {
    for number in 0..number {
        system.customer("alice").places_order(&format!("order-{number}")).await;
    }
}

fn reader(system: &System) -> StreamReader {
    let arn = system.stack.stream_arn("EventsTable").unwrap().to_owned();
    StreamReader::new(system.stack.engine().streams(), arn, None)
}

#[tokio::test]
async fn a_batch_that_keeps_failing_is_discarded_and_sent_to_the_on_failure_destination() {
    let system = System::start().await;
    place(&system, 3).await;
    let directory = TestDirectory::new();
    let twice = MappingDefinition { retries: Some(2), bisects: false, ..definition() };
    let (mapping, invocations) = mapping(&system, twice, |_| Err("no".to_owned()));
    let mut mapping = mapping.with_files(MappingFiles::in_directory(directory.0.clone()));
    assert!(matches!(mapping.step().await.unwrap(), DeliveryStep::Delivered(BatchOutcome::Failed)));
    mapping.drain().await.unwrap();
    assert_eq!(invocations.load(Ordering::SeqCst), 3, "one attempt and two retries");
    let lines = fs::read_to_string(directory.0.join("on-failure.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(lines[0]["DDBStreamBatchInfo"]["batchSize"], 3);
    canary::record("on-failure destination", &lines[0].to_string());
    canary::assert_clean();
}

#[tokio::test]
async fn records_that_are_too_old_are_discarded_without_a_delivery() {
    let system = System::start().await;
    place(&system, 3).await;
    let directory = TestDirectory::new();
    let (mapping, invocations) = mapping(&system, definition(), |_| Ok(json!({})));
    let mut mapping = mapping.with_files(MappingFiles::in_directory(directory.0.clone()));
    // Records have the machine's time. Set the clock of the test to one day after the record.
    let now = system.stack.app.dynamo.environment.now().as_millisecond();
    let record = system.stream_records().await[0].arrived_at.as_millisecond();
    system.clock.advance_ms(record - now + 24 * 3_600_000);
    mapping.drain().await.unwrap();
    assert_eq!(invocations.load(Ordering::SeqCst), 0);
    let line: Value = serde_json::from_str(&fs::read_to_string(directory.0.join("on-failure.jsonl")).unwrap()).unwrap();
    assert_eq!(line["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(line["DDBStreamBatchInfo"]["batchSize"], 3);
}

#[tokio::test]
async fn bisecting_delivers_each_record_alone_without_costing_a_retry() {
    let system = System::start().await;
    place(&system, 16).await;
    let directory = TestDirectory::new();
    let once = MappingDefinition { retries: Some(0), ..definition() };
    // Fails for every batch of several records.
    let (mapping, _) = mapping(&system, once, |event| {
        if event["Records"].as_array().unwrap().len() > 1 { Err("no".to_owned()) } else { Ok(json!({})) }
    });
    let mut mapping = mapping.with_files(MappingFiles::in_directory(directory.0.clone()));
    mapping.drain().await.unwrap();
    // Each record succeeded alone: a split costs no attempt, and nothing was discarded.
    assert!(!directory.0.join("on-failure.jsonl").exists());
}

#[tokio::test]
async fn a_mapping_continues_at_its_checkpoint() {
    let system = System::start().await;
    place(&system, 3).await;
    let directory = TestDirectory::new();
    let files = || MappingFiles::in_directory(directory.0.clone());
    let (first, invocations) = mapping(&system, definition(), |_| Ok(json!({})));
    first.with_files(files()).drain().await.unwrap();
    assert_eq!(invocations.load(Ordering::SeqCst), 1);
    let (second, invocations) = mapping(&system, definition(), |_| Ok(json!({})));
    second.with_files(files()).drain().await.unwrap();
    assert_eq!(invocations.load(Ordering::SeqCst), 0, "all records were finished");
    system.customer("alice").places_order("one-more").await;
    let (third, invocations) = mapping(&system, definition(), |event| {
        assert_eq!(event["Records"].as_array().unwrap().len(), 1);
        Ok(json!({}))
    });
    third.with_files(files()).drain().await.unwrap();
    assert_eq!(invocations.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_unfinished_batch_is_delivered_again_after_a_restart() {
    let system = System::start().await;
    place(&system, 3).await;
    let directory = TestDirectory::new();
    let files = || MappingFiles::in_directory(directory.0.clone());
    let (failing, _) = mapping(&system, definition(), |_| Err("no".to_owned()));
    failing.with_files(files()).step().await.unwrap();
    let (second, invocations) = mapping(&system, definition(), |event| {
        assert_eq!(event["Records"].as_array().unwrap().len(), 3);
        Ok(json!({}))
    });
    second.with_files(files()).drain().await.unwrap();
    assert_eq!(invocations.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn batches_are_no_larger_than_the_definition_says() {
    let system = System::start().await;
    place(&system, 25).await;
    let ten = MappingDefinition { batch_size: 10, ..definition() };
    let (mut mapping, invocations) = mapping(&system, ten, |event| {
        assert!(event["Records"].as_array().unwrap().len() <= 10);
        Ok(json!({ "batchItemFailures": [] }))
    });
    mapping.drain().await.unwrap();
    assert_eq!(invocations.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_expired_iterator_loses_and_repeats_no_record() {
    let system = System::start().await;
    let mut reader = reader(&system);
    let mut read = Vec::new();
    for round in 0..5 {
        system.customer("alice").places_order(&format!("order-{round}")).await;
        read.extend(reader.read().await.unwrap());
        reader.expire_iterators();
    }
    let numbers: std::collections::BTreeSet<_> = read.iter().map(|record| &record.sequence_number).collect();
    assert_eq!((read.len(), numbers.len()), (5, 5));
}

#[tokio::test]
async fn a_page_has_at_most_a_megabyte_and_the_next_page_has_the_rest() {
    let system = System::start().await;
    for version in 1..=5 {
        let large = json!([{ "type": "x", "schema": 1, "data": "x".repeat(300_000) }]);
        system.append_raw("7c9e6679-7425-40de-944b-e07fc1f90ae7", version, large).await;
    }
    let mut reader = reader(&system);
    let mut pages = Vec::new();
    for _ in 0..3 {
        pages.push(reader.read().await.unwrap().len());
    }
    assert_eq!(pages, [3, 2, 0]);
}

#[tokio::test]
async fn a_record_with_equal_images_changes_nothing() {
    let record = |old: Value| local::event_source_mapping::record::Record {
        sequence_number: "1".to_owned(),
        arrived_at: jiff::Timestamp::UNIX_EPOCH,
        partition_key: String::new(),
        bytes: 1,
        json: json!({ "dynamodb": { "NewImage": { "a": { "N": "1" } }, "OldImage": old } }),
    };
    assert!(record(json!({ "a": { "N": "1" } })).changes_nothing());
    assert!(!record(json!({ "a": { "N": "2" } })).changes_nothing());
}
