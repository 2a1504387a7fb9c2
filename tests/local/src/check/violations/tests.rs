//! Histories that are wrong, each in its own way.

use super::*;
use crate::check::history::{FinalViews, Reply};

fn done(version: u64) -> Reply {
    Reply::Accepted { order: "one".to_owned(), version }
}

fn command(mark: &str, (began, ended): (u64, u64), replies: &[Reply]) -> SentCommand {
    SentCommand { mark: mark.to_owned(), began, ended, replies: replies.to_vec() }
}

fn event(version: u64, status: &str, mark: &str) -> RecordedEvent {
    RecordedEvent { version, status: status.to_owned(), mark: mark.to_owned() }
}

fn state(version: u64, status: &str) -> Option<OrderState> {
    Some(OrderState { version, status: status.to_owned() })
}

/// Placed, then shipped by a client that repeated itself; a cancellation that came too late, and a delivery whose
/// answer was lost and that was done.
fn right() -> RunHistory {
    let delivered = state(3, "delivered");
    RunHistory {
        commands: vec![
            command("place", (1, 2), &[done(1)]),
            command("ship", (3, 5), &[Reply::Unknown, done(2), done(2)]),
            command("cancel", (6, 7), &[Reply::Refused(409)]),
            command("deliver", (8, 9), &[Reply::Unknown]),
        ],
        reads: vec![
            Read { source: ReadSource::Order, order: "one".to_owned(), at_least: 2, state: state(2, "shipped") },
            Read { source: ReadSource::List, order: "one".to_owned(), at_least: 1, state: state(3, "delivered") },
        ],
        orders: BTreeMap::from([(
            "one".to_owned(),
            vec![event(1, "placed", "place"), event(2, "shipped", "ship"), event(3, "delivered", "deliver")],
        )]),
        views: BTreeMap::from([("one".to_owned(), FinalViews { summary: delivered.clone(), row: delivered })]),
    }
}

/// The verdict on the history that `wrong` makes of the right one, without what follows from it for the views.
#[track_caller]
fn expect(wrong: impl Fn(&mut RunHistory, &mut Vec<RecordedEvent>), violations: &[Violation]) {
    let mut history = right();
    let mut events = history.orders.remove("one").unwrap();
    history.views.clear();
    wrong(&mut history, &mut events);
    history.orders.insert("one".to_owned(), events);
    assert_eq!(find_violations(&history), violations);
}

fn name(name: &str) -> String {
    name.to_owned()
}

#[test]
fn a_right_history_breaks_no_promise() {
    assert_eq!(find_violations(&right()), []);
    // Nor does one where what was not answered was not done.
    expect(
        |_, events| assert!(events.pop().is_some()),
        &[Violation::ImpossibleRead {
            read: ReadSource::List,
            order: name("one"),
            state: state(3, "delivered").unwrap(),
        }],
    );
}

#[test]
fn an_acknowledged_command_that_is_not_there_is_lost() {
    expect(
        |history, _| history.commands.push(command("other", (3, 9), &[Reply::Unknown, done(9)])),
        &[Violation::Lost { command: name("other") }],
    );
}

#[test]
fn an_acknowledged_command_that_is_there_twice_is_doubled() {
    expect(
        |_, events| events.push(event(4, "shipped", "ship")),
        &[Violation::Duplicated { command: name("ship"), times: 2 }],
    );
}

#[test]
fn a_refused_command_that_is_there_should_not_be() {
    expect(
        |_, events| events.push(event(4, "cancelled", "cancel")),
        &[Violation::RefusedButExecuted { command: name("cancel") }],
    );
}

#[test]
fn an_unanswered_command_may_be_there_once_alone() {
    expect(
        |_, events| events.push(event(4, "delivered", "deliver")),
        &[Violation::UnknownDuplicated { command: name("deliver"), times: 2 }],
    );
}

#[test]
fn a_command_that_two_clients_sent_counts_for_both() {
    let refused = |history: &mut RunHistory, _: &mut Vec<RecordedEvent>| {
        history.commands.push(command("ship", (3, 9), &[Reply::Refused(409)]));
    };
    expect(refused, &[]);
    let acknowledged = |history: &mut RunHistory, _: &mut Vec<RecordedEvent>| {
        history.commands.push(command("ship", (3, 9), &[done(2)]));
    };
    expect(acknowledged, &[Violation::Lost { command: name("ship") }]);
}

#[test]
fn an_event_that_nobody_asked_for_is_found() {
    expect(
        |_, events| events.push(event(4, "cancelled", "nobody")),
        &[Violation::Unrequested { order: name("one"), version: 4 }],
    );
}

#[test]
fn a_command_stands_where_its_client_was_told_and_in_the_order_in_which_it_was_sent() {
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
            (history.commands[0].replies, history.commands[1].replies) = (vec![done(2)], vec![done(1)]);
            events[0] = event(1, "placed", "ship");
            events[1] = event(2, "shipped", "place");
        },
        &[Violation::Reordered { first: name("place"), then: name("ship") }],
    );
}

#[test]
fn commands_at_the_same_time_may_stand_in_any_order() {
    expect(
        |history, events| {
            (history.commands[0].replies, history.commands[1].replies) = (vec![done(2)], vec![done(1)]);
            history.commands[1].began = 1;
            events[0] = event(1, "placed", "ship");
            events[1] = event(2, "shipped", "place");
        },
        &[],
    );
}

#[test]
fn a_repeated_command_is_answered_as_the_first_time() {
    expect(
        |history, _| history.commands[1].replies.push(done(3)),
        &[Violation::InconsistentReply { command: name("ship") }],
    );
}

#[test]
fn versions_have_no_gap() {
    expect(
        |_, events| events[2].version = 4,
        &[
            Violation::Gap { order: name("one") },
            Violation::ImpossibleRead {
                read: ReadSource::List,
                order: name("one"),
                state: state(3, "delivered").unwrap(),
            },
        ],
    );
}

#[test]
fn a_read_that_is_older_than_asked_for_is_stale() {
    for (wrong, version) in [(state(1, "placed"), 2), (None, 1)] {
        let read = Read { source: ReadSource::List, order: name("one"), at_least: version, state: wrong.clone() };
        expect(
            |history, _| history.reads.push(read.clone()),
            &[Violation::StaleRead {
                read: ReadSource::List,
                order: name("one"),
                at_least: version,
                state: wrong.clone(),
            }],
        );
    }
}

#[test]
fn a_read_of_what_never_was_is_invented() {
    let wrong = Read { source: ReadSource::Order, order: name("one"), at_least: 1, state: state(2, "delivered") };
    expect(
        |history, _| history.reads.push(wrong.clone()),
        &[Violation::ImpossibleRead {
            read: ReadSource::Order,
            order: name("one"),
            state: state(2, "delivered").unwrap(),
        }],
    );
}

#[test]
fn read_models_come_to_what_the_history_says() {
    let mut history = right();
    history.views.insert(name("one"), FinalViews { summary: state(2, "shipped"), row: None });
    let behind = |read, state| Violation::Behind { read, order: name("one"), version: 3, state };
    assert_eq!(
        find_violations(&history),
        [behind(ReadSource::Order, state(2, "shipped")), behind(ReadSource::List, None)]
    );
}
