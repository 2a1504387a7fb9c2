//! Histories with one violation each.

use super::*;
use crate::history::FinalViews;

fn accepted(version: u64) -> Reply {
    Reply::Accepted { stream: "one".to_owned(), version }
}

fn command(mark: &str, (began, ended): (u64, u64), replies: &[Reply]) -> SentCommand {
    SentCommand { mark: mark.to_owned(), began, ended, replies: replies.to_vec() }
}

fn event(version: u64, status: &str, mark: &str) -> RecordedEvent {
    RecordedEvent { version, status: status.to_owned(), mark: mark.to_owned() }
}

fn state(version: u64, status: &str) -> Option<StreamState> {
    Some(StreamState { version, status: status.to_owned() })
}

/// A stream that was placed, shipped with a retry and a repeat, not cancelled in time, and delivered without a reply.
fn valid_history() -> RunHistory {
    let delivered = state(3, "delivered");
    RunHistory {
        commands: vec![
            command("place", (1, 2), &[accepted(1)]),
            command("ship", (3, 5), &[Reply::Unknown, accepted(2), accepted(2)]),
            command("cancel", (6, 7), &[Reply::Refused(409)]),
            command("deliver", (8, 9), &[Reply::Unknown]),
        ],
        reads: vec![
            Read { source: ReadSource::View, stream: "one".to_owned(), at_least: 2, state: state(2, "shipped") },
            Read { source: ReadSource::List, stream: "one".to_owned(), at_least: 1, state: state(3, "delivered") },
        ],
        streams: BTreeMap::from([(
            "one".to_owned(),
            vec![event(1, "placed", "place"), event(2, "shipped", "ship"), event(3, "delivered", "deliver")],
        )]),
        views: BTreeMap::from([("one".to_owned(), FinalViews { view: delivered.clone(), row: delivered })]),
    }
}

/// Changes the valid history, and compares the violations. The views are not checked.
#[track_caller]
fn expect(change: impl Fn(&mut RunHistory, &mut Vec<RecordedEvent>), violations: &[Violation]) {
    let mut history = valid_history();
    let mut events = history.streams.remove("one").unwrap();
    history.views.clear();
    change(&mut history, &mut events);
    history.streams.insert("one".to_owned(), events);
    assert_eq!(find_violations(&history), violations);
}

fn name(name: &str) -> String {
    name.to_owned()
}

#[test]
fn a_valid_history_has_no_violations() {
    assert_eq!(find_violations(&valid_history()), []);
    // The delivery without a reply need not be executed. Only the read of it is impossible then.
    expect(
        |_, events| assert!(events.pop().is_some()),
        &[Violation::ImpossibleRead {
            read: ReadSource::List,
            stream: name("one"),
            state: state(3, "delivered").unwrap(),
        }],
    );
}

#[test]
fn an_acknowledged_command_without_an_event_is_lost() {
    expect(
        |history, _| history.commands.push(command("other", (3, 9), &[Reply::Unknown, accepted(9)])),
        &[Violation::Lost { command: name("other") }],
    );
}

#[test]
fn an_acknowledged_command_with_two_events_is_duplicated() {
    expect(
        |_, events| events.push(event(4, "shipped", "ship")),
        &[Violation::Duplicated { command: name("ship"), times: 2 }],
    );
}

#[test]
fn a_refused_command_has_no_event() {
    expect(
        |_, events| events.push(event(4, "cancelled", "cancel")),
        &[Violation::RefusedButExecuted { command: name("cancel") }],
    );
}

#[test]
fn an_unanswered_command_has_at_most_one_event() {
    expect(
        |_, events| events.push(event(4, "delivered", "deliver")),
        &[Violation::UnknownDuplicated { command: name("deliver"), times: 2 }],
    );
}

#[test]
fn two_clients_with_the_same_mark_need_one_event_each() {
    let refused = |history: &mut RunHistory, _: &mut Vec<RecordedEvent>| {
        history.commands.push(command("ship", (3, 9), &[Reply::Refused(409)]));
    };
    expect(refused, &[]);
    let acknowledged = |history: &mut RunHistory, _: &mut Vec<RecordedEvent>| {
        history.commands.push(command("ship", (3, 9), &[accepted(2)]));
    };
    expect(acknowledged, &[Violation::Lost { command: name("ship") }]);
}

#[test]
fn an_event_without_a_command_is_unrequested() {
    expect(
        |_, events| events.push(event(4, "cancelled", "nobody")),
        &[Violation::Unrequested { stream: name("one"), version: 4 }],
    );
}

#[test]
fn a_command_has_the_acknowledged_version_and_follows_all_earlier_commands() {
    expect(
        |_, events| {
            events[0] = event(1, "shipped", "ship");
            events[1] = event(2, "shipped", "place");
        },
        &[
            Violation::WrongPosition { command: name("place"), acknowledged: 1, actual: 2 },
            Violation::WrongPosition { command: name("ship"), acknowledged: 2, actual: 1 },
        ],
    );
    expect(
        |history, events| {
            (history.commands[0].replies, history.commands[1].replies) = (vec![accepted(2)], vec![accepted(1)]);
            events[0] = event(1, "placed", "ship");
            events[1] = event(2, "shipped", "place");
        },
        &[Violation::Reordered { first: name("place"), then: name("ship") }],
    );
}

#[test]
fn concurrent_commands_may_have_any_order() {
    expect(
        |history, events| {
            (history.commands[0].replies, history.commands[1].replies) = (vec![accepted(2)], vec![accepted(1)]);
            history.commands[1].began = 1;
            events[0] = event(1, "placed", "ship");
            events[1] = event(2, "shipped", "place");
        },
        &[],
    );
}

#[test]
fn a_repeated_command_gets_the_same_acknowledgement() {
    expect(
        |history, _| history.commands[1].replies.push(accepted(3)),
        &[Violation::InconsistentReply { command: name("ship") }],
    );
}

#[test]
fn the_versions_of_a_stream_have_no_gap() {
    expect(
        |_, events| events[2].version = 4,
        &[
            Violation::Gap { stream: name("one") },
            Violation::ImpossibleRead {
                read: ReadSource::List,
                stream: name("one"),
                state: state(3, "delivered").unwrap(),
            },
        ],
    );
}

#[test]
fn a_read_of_an_older_version_than_required_is_stale() {
    for (wrong, version) in [(state(1, "placed"), 2), (None, 1)] {
        let read = Read { source: ReadSource::List, stream: name("one"), at_least: version, state: wrong.clone() };
        expect(
            |history, _| history.reads.push(read.clone()),
            &[Violation::StaleRead {
                read: ReadSource::List,
                stream: name("one"),
                at_least: version,
                state: wrong.clone(),
            }],
        );
    }
}

#[test]
fn a_read_of_a_state_that_never_existed_is_impossible() {
    let wrong = Read { source: ReadSource::View, stream: name("one"), at_least: 1, state: state(2, "delivered") };
    expect(
        |history, _| history.reads.push(wrong.clone()),
        &[Violation::ImpossibleRead {
            read: ReadSource::View,
            stream: name("one"),
            state: state(2, "delivered").unwrap(),
        }],
    );
}

#[test]
fn the_final_views_show_the_end_of_the_history() {
    let mut history = valid_history();
    history.views.insert(name("one"), FinalViews { view: state(2, "shipped"), row: None });
    let behind = |read, state| Violation::Behind { read, stream: name("one"), version: 3, state };
    assert_eq!(
        find_violations(&history),
        [behind(ReadSource::View, state(2, "shipped")), behind(ReadSource::List, None)]
    );
}
