//! Execution of commands.

use cqrs::{CommandId, Fingerprint, StreamId, Version, spec::given};
use cqrs_dynamodb::{CommandError, CommandRequest, Executed, create, create_or_execute, execute};
use futures_util::future::join_all;
use local::engine::interceptor::Fault;

use super::{
    Jars,
    jar::{Jar, JarCommand, JarEvent, JarRejection, filled},
};

fn request(key: &str, command: JarCommand) -> CommandRequest<JarCommand> {
    CommandRequest {
        stream: StreamId::of::<JarEvent>("a"),
        command_id: CommandId::derived("anna", key),
        fingerprint: Fingerprint::of(&[&format!("{command:?}")]),
        expected_version: None,
        caller: "anna".to_owned(),
        trace: None,
        command,
    }
}

fn executed(version: u64, replayed: bool) -> Executed {
    Executed { version: Version::new(version), replayed }
}

async fn with_a_jar_of_five() -> Jars {
    let jars = Jars::start().await;
    create::<Jar>(&jars.events(), &request("put", JarCommand::Put(5)), |_| true).await.unwrap();
    jars
}

#[tokio::test]
async fn a_command_is_accepted_or_rejected_by_the_state() {
    let jars = with_a_jar_of_five().await;
    let take = |key, amount| request(key, JarCommand::Take(amount));
    let done = execute::<Jar>(&jars.events(), &take("1", 3), |_| true).await.unwrap();
    assert_eq!(done, executed(2, false));
    match execute::<Jar>(&jars.events(), &take("2", 3), |_| true).await {
        Err(CommandError::Rejected { rejection: JarRejection::NotThatMuch, state, version }) => {
            assert_eq!((state, version), (Jar { level: 2 }, Version::new(2)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_without_events_is_accepted_and_leaves_no_commit() {
    let jars = with_a_jar_of_five().await;
    let look = execute::<Jar>(&jars.events(), &request("look", JarCommand::Look), |_| true).await.unwrap();
    assert_eq!(look, executed(1, false));
    assert_eq!(jars.events().load_stored(&request("", JarCommand::Look).stream).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_missing_and_a_forbidden_stream_are_not_found() {
    let jars = with_a_jar_of_five().await;
    let refused = execute::<Jar>(&jars.events(), &request("1", JarCommand::Take(1)), |_| false).await;
    assert!(matches!(refused, Err(CommandError::NotFound)), "{refused:?}");
    let elsewhere = CommandRequest { stream: StreamId::of::<JarEvent>("b"), ..request("1", JarCommand::Take(1)) };
    let refused = execute::<Jar>(&jars.events(), &elsewhere, |_| true).await;
    assert!(matches!(refused, Err(CommandError::NotFound)), "{refused:?}");
}

#[tokio::test]
async fn a_repeat_gets_the_first_result_although_the_state_has_changed() {
    let jars = with_a_jar_of_five().await;
    let take = request("take", JarCommand::Take(5));
    assert_eq!(execute::<Jar>(&jars.events(), &take, |_| true).await.unwrap(), executed(2, false));
    let stale = CommandRequest { expected_version: Some(Version::new(1)), ..take.clone() };
    assert_eq!(execute::<Jar>(&jars.events(), &stale, |_| true).await.unwrap(), executed(2, true));
    let other = request("take", JarCommand::Put(1));
    let reused = execute::<Jar>(&jars.events(), &other, |_| true).await;
    assert!(matches!(reused, Err(CommandError::IdempotencyKeyReused)), "{reused:?}");
}

#[tokio::test]
async fn creating_an_existing_stream_decides_on_its_state() {
    let jars = with_a_jar_of_five().await;
    let again = create::<Jar>(&jars.events(), &request("put", JarCommand::Put(5)), |_| true).await.unwrap();
    assert_eq!(again, executed(1, true));
    let other = create::<Jar>(&jars.events(), &request("more", JarCommand::Put(2)), |_| true).await.unwrap();
    assert_eq!(other, executed(2, false));
}

#[tokio::test]
async fn an_expected_version_is_compared_with_the_head() {
    let jars = with_a_jar_of_five().await;
    let at =
        |version| CommandRequest { expected_version: Some(Version::new(version)), ..request("1", JarCommand::Take(1)) };
    let stale = execute::<Jar>(&jars.events(), &at(2), |_| true).await;
    assert!(matches!(stale, Err(CommandError::VersionMismatch { version }) if version == Version::new(1)), "{stale:?}");
    assert_eq!(execute::<Jar>(&jars.events(), &at(1), |_| true).await.unwrap(), executed(2, false));
}

/// Each command is accepted with one commit, rejected, or fails as contended.
#[tokio::test]
async fn racing_commands_are_decided_one_after_the_other() {
    let jars = with_a_jar_of_five().await;
    let take = |number: usize| {
        let events = jars.events();
        async move { execute::<Jar>(&events, &request(&number.to_string(), JarCommand::Take(1)), |_| true).await }
    };
    let outcomes = join_all((0..8).map(take)).await;
    let taken = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let contended = outcomes.iter().filter(|outcome| matches!(outcome, Err(CommandError::Contended))).count();
    let rejected = outcomes.iter().filter(|outcome| matches!(outcome, Err(CommandError::Rejected { .. }))).count();
    assert_eq!(taken + contended + rejected, 8);
    let history = jars.events().load::<JarEvent>(&request("", JarCommand::Look).stream).await.unwrap();
    assert_eq!(history.len(), 1 + taken);
}

#[tokio::test]
async fn a_command_that_loses_five_races_is_contended() {
    let jars = with_a_jar_of_five().await;
    // Every attempt meets the existing commit of version 1.
    jars.interceptor.rewrite("PutItem", |body| body["Item"]["version"]["N"] = "1".into());
    jars.interceptor.take_costs();
    let refused = execute::<Jar>(&jars.events(), &request("1", JarCommand::Take(1)), |_| true).await;
    assert!(matches!(refused, Err(CommandError::Contended)), "{refused:?}");
    assert_eq!(jars.interceptor.take_costs().len(), 5, "five attempts load the stream");
}

#[tokio::test]
async fn a_dropped_response_is_not_a_conflict() {
    let jars = with_a_jar_of_five().await;
    jars.interceptor.inject("PutItem", Fault::ResponseDropped, 1);
    let take = execute::<Jar>(&jars.events(), &request("1", JarCommand::Take(1)), |_| true).await.unwrap();
    assert_eq!(take.version, Version::new(2));
}

#[tokio::test]
async fn a_command_that_may_create_its_stream_creates_it_and_then_continues_it() {
    let jars = Jars::start().await;
    let put = |key, amount| request(key, JarCommand::Put(amount));
    let first = create_or_execute::<Jar>(&jars.events(), &put("1", 5), |_| false).await.unwrap();
    assert_eq!(first, executed(1, false));
    let second = create_or_execute::<Jar>(&jars.events(), &put("2", 2), |_| true).await.unwrap();
    assert_eq!(second, executed(2, false));
    // Repeats get the first result, whether they created the stream or continued it.
    for (key, amount, version) in [("1", 5, 1), ("2", 2, 2)] {
        let again = create_or_execute::<Jar>(&jars.events(), &put(key, amount), |_| true).await.unwrap();
        assert_eq!(again, executed(version, true));
    }
    let reused = create_or_execute::<Jar>(&jars.events(), &put("1", 6), |_| true).await;
    assert!(matches!(reused, Err(CommandError::IdempotencyKeyReused)), "{reused:?}");
    let forbidden = create_or_execute::<Jar>(&jars.events(), &put("3", 1), |_| false).await;
    assert!(matches!(forbidden, Err(CommandError::NotFound)), "{forbidden:?}");
}

#[tokio::test]
async fn a_rejected_command_creates_no_stream() {
    let jars = Jars::start().await;
    let take = request("1", JarCommand::Take(1));
    let refused = create_or_execute::<Jar>(&jars.events(), &take, |_| true).await;
    let rejected = matches!(&refused, Err(CommandError::Rejected { version, .. }) if *version == Version::NONE);
    assert!(rejected, "{refused:?}");
    assert_eq!(jars.events().load_stored(&take.stream).await.unwrap(), []);
}

#[tokio::test]
async fn an_expected_version_needs_a_stream() {
    let jars = Jars::start().await;
    let expecting = CommandRequest { expected_version: Some(Version::FIRST), ..request("1", JarCommand::Put(1)) };
    let refused = create_or_execute::<Jar>(&jars.events(), &expecting, |_| true).await;
    let mismatched = matches!(&refused, Err(CommandError::VersionMismatch { version }) if *version == Version::NONE);
    assert!(mismatched, "{refused:?}");
}

/// Every command begins before the stream exists. One of them creates it; the others meet a conflict and continue it.
#[tokio::test]
async fn racing_commands_create_their_stream_once() {
    let jars = Jars::start().await;
    let put = |number: usize| {
        let events = jars.events();
        async move { create_or_execute::<Jar>(&events, &request(&number.to_string(), JarCommand::Put(1)), |_| true).await }
    };
    let outcomes = join_all((0..4).map(put)).await;
    let versions: Vec<u64> = outcomes.into_iter().map(|outcome| outcome.unwrap().version.get()).collect();
    let history = jars.events().load::<JarEvent>(&request("", JarCommand::Look).stream).await.unwrap();
    assert_eq!((history.len(), versions.iter().sum::<u64>()), (4, 1 + 2 + 3 + 4));
}

#[test]
fn a_specification_decides_at_a_given_time() {
    let take = || JarCommand::TakeBefore { amount: 1, due: "2026-12-24T18:00:00Z".parse().unwrap() };
    given::<Jar>([filled(5)]).when(take()).then([JarEvent::Emptied { amount: 1 }]);
    given::<Jar>([filled(5)]).when_at(take(), "2026-12-24T18:00:01Z").then_rejected(JarRejection::TooLate);
}

#[tokio::test]
async fn a_command_is_decided_at_the_time_of_its_commit() {
    let jars = with_a_jar_of_five().await;
    let begun = jars.dynamo.environment.now();
    let before = |key, due| request(key, JarCommand::TakeBefore { amount: 1, due });
    let late = execute::<Jar>(&jars.events(), &before("late", begun), |_| true).await;
    assert!(matches!(late, Err(CommandError::Rejected { rejection: JarRejection::TooLate, .. })), "{late:?}");
    let due = begun + jiff::SignedDuration::from_mins(1);
    execute::<Jar>(&jars.events(), &before("in time", due), |_| true).await.unwrap();
    let history = jars.events().load::<JarEvent>(&request("", JarCommand::Look).stream).await.unwrap();
    assert!(history[1].recorded_at > begun && history[1].recorded_at <= due);
}

#[tokio::test]
async fn a_command_is_decided_anew_after_a_conflict_at_a_new_time() {
    let jars = with_a_jar_of_five().await;
    // The first attempt meets the existing commit of version 1.
    jars.interceptor.rewrite("PutItem", |body| body["Item"]["version"]["N"] = "1".into());
    // The clock advances with each reading, so only the first of the five attempts is in time.
    let due = jars.dynamo.environment.now() + jiff::SignedDuration::from_millis(1);
    let take = request("take", JarCommand::TakeBefore { amount: 1, due });
    let late = execute::<Jar>(&jars.events(), &take, |_| true).await;
    assert!(matches!(late, Err(CommandError::Rejected { rejection: JarRejection::TooLate, .. })), "{late:?}");
}
