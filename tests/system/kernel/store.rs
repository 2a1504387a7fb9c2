//! The event store.

use cqrs::{CommandId, Commit, Fingerprint, StreamId, Version};
use cqrs_dynamodb::{StoreError, commit_item, event_store::AppendOutcome};
use local::engine::interceptor::Fault;

use super::{
    Jars,
    jar::{JarEvent, filled},
};

fn commit(version: u64, key: &str, events: Vec<JarEvent>) -> Commit<JarEvent> {
    Commit {
        stream: StreamId::of::<JarEvent>("a"),
        version: Version::new(version),
        command_id: CommandId::derived("anna", key),
        fingerprint: Fingerprint::of(&[key]),
        recorded_at: "2026-11-22T10:00:00.123456Z".parse().unwrap(),
        caller: "anna".to_owned(),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        previous: None,
        hash: None,
        events,
    }
}

#[tokio::test]
async fn loaded_commits_equal_the_appended_ones() {
    let jars = Jars::start().await;
    let commits = [commit(1, "1", vec![filled(5)]), commit(2, "2", vec![filled(u64::MAX), JarEvent::Smashed {}])];
    let mut appended = Vec::new();
    for commit in commits {
        appended.push(jars.append(commit).await);
    }
    assert_eq!(jars.events().load_stored(&appended[0].stream).await.unwrap(), appended);
    assert_eq!(jars.events().load::<JarEvent>(&StreamId::of::<JarEvent>("b")).await.unwrap(), []);
}

#[tokio::test]
async fn the_existing_item_distinguishes_a_repeat_a_reused_key_and_a_conflict() {
    let jars = Jars::start().await;
    let first = commit(1, "1", vec![filled(5)]);
    jars.events().append(&first).await.unwrap();
    let later = Commit { recorded_at: "2026-11-23T10:00:00Z".parse().unwrap(), ..first.clone() };
    assert!(matches!(jars.events().append(&later).await.unwrap(), AppendOutcome::AlreadyWritten));
    let other = Commit { fingerprint: Fingerprint::of(&["other"]), ..first.clone() };
    assert!(matches!(jars.events().append(&other).await.unwrap(), AppendOutcome::IdempotencyKeyReused));
    assert!(matches!(
        jars.events().append(&commit(1, "2", vec![filled(5)])).await.unwrap(),
        AppendOutcome::VersionConflict
    ));
    let loaded = jars.events().load::<JarEvent>(&first.stream).await.unwrap();
    assert_eq!(loaded, [Commit { hash: loaded[0].hash, ..first }]);
}

#[tokio::test]
async fn a_commit_that_is_too_large_is_refused_before_any_call() {
    let jars = Jars::start().await;
    jars.interceptor.inject("PutItem", Fault::AccessDenied, usize::MAX);
    let large = JarEvent::Filled { amount: 1, note: "x".repeat(350 * 1024) };
    let refused = jars.events().append(&commit(1, "1", vec![large])).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_long_stream_is_loaded_whole_or_not_at_all() {
    let jars = Jars::start().await;
    let stream = StreamId::of::<JarEvent>("a");
    let mut previous = None;
    for version in 1..=10_000 {
        let next = Commit { previous, ..commit(version, "key", vec![filled(1)]) };
        previous = Some(commit_item::hash_of(&commit_item::encode(&next.encode().unwrap()).unwrap()));
        jars.events().append(&next).await.unwrap();
    }
    let loaded = jars.events().load::<JarEvent>(&stream).await.unwrap();
    assert!(loaded.iter().map(|commit| commit.version.get()).eq(1..=10_000));
    // The second page fails.
    jars.interceptor.inject_after("Query", 1, Fault::AccessDenied, 1);
    assert!(jars.events().load::<JarEvent>(&stream).await.is_err());
}

#[tokio::test]
async fn a_stream_with_a_missing_version_is_corrupt() {
    let jars = Jars::start().await;
    jars.events().append(&commit(1, "1", vec![filled(1)])).await.unwrap();
    jars.events().append(&commit(3, "3", vec![filled(1)])).await.unwrap();
    let corrupt = jars.events().load::<JarEvent>(&StreamId::of::<JarEvent>("a")).await.unwrap_err();
    assert!(matches!(corrupt, StoreError::Corrupt { version, .. } if version == Version::new(2)), "{corrupt}");
}

#[tokio::test]
async fn store_errors_are_not_conflicts() {
    let jars = Jars::start().await;
    let commit = commit(1, "1", vec![filled(1)]);
    for (fault, expected) in [
        (Fault::Throttled, "DynamoDB is unavailable"),
        (Fault::ServerError, "the outcome of a write is unknown"),
        (Fault::ResponseDropped, "the outcome of a write is unknown"),
        (Fault::AccessDenied, "DynamoDB denied a request"),
    ] {
        jars.interceptor.inject("PutItem", fault, usize::MAX);
        assert_eq!(jars.events().append(&commit).await.unwrap_err().to_string(), expected);
        jars.interceptor.clear_faults();
    }
}
