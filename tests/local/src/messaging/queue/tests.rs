use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn message(body: &str) -> OutgoingMessage {
    OutgoingMessage { body: body.to_owned(), ..OutgoingMessage::default() }
}

fn in_group(body: &str, group: &str, deduplication_id: Option<&str>) -> OutgoingMessage {
    let deduplication_id = deduplication_id.map(str::to_owned);
    OutgoingMessage { group: Some(group.to_owned()), deduplication_id, ..message(body) }
}

fn send(queue: &mut Queue, message: OutgoingMessage, seconds: i64) -> Result<SentMessage, ServiceError> {
    let id = Uuid::from_u128(u128::from(queue.next));
    queue.send(message, id, at(seconds))
}

fn receive(queue: &mut Queue, seconds: i64) -> ReceiveResult {
    queue.receive(10, None, at(seconds), || format!("at {seconds}"))
}

/// Receives, and returns the bodies.
fn bodies(queue: &mut Queue, seconds: i64) -> Vec<String> {
    receive(queue, seconds).received.into_iter().map(|received| received.message.body).collect()
}

fn queue_with(definition: QueueDefinition, messages: &[&str]) -> Queue {
    let mut queue = Queue::new(definition);
    for body in messages {
        send(&mut queue, message(body), 0).unwrap();
    }
    queue
}

fn fifo() -> Queue {
    Queue::new(QueueDefinition { fifo: true, ..QueueDefinition::default() })
}

#[test]
fn a_received_message_is_invisible_until_its_timeout() {
    let mut queue = queue_with(QueueDefinition::default(), &["a", "b"]);
    assert_eq!(bodies(&mut queue, 0), ["a", "b"]);
    assert_eq!(queue.counts(at(29)), QueueCounts { visible: 0, in_flight: 2, delayed: 0 });
    assert!(bodies(&mut queue, 29).is_empty());
    let again = receive(&mut queue, 30).received;
    assert_eq!(again.iter().map(|received| received.message.receives).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(again[0].message.first_received_at, Some(at(0)));
}

#[test]
fn a_receive_returns_at_most_the_wanted_number_of_messages() {
    let mut queue = queue_with(QueueDefinition::default(), &["a", "b", "c"]);
    assert_eq!(queue.receive(2, None, at(0), String::new).received.len(), 2);
    assert_eq!(bodies(&mut queue, 0), ["c"]);
}

#[test]
fn a_deleted_message_is_not_received_again() {
    let mut queue = queue_with(QueueDefinition::default(), &["a"]);
    let receipt = receive(&mut queue, 0).received.remove(0).receipt;
    queue.delete(&receipt, at(1)).unwrap();
    queue.delete(&receipt, at(1)).unwrap();
    assert!(bodies(&mut queue, 60).is_empty());
    assert_eq!(queue.delete("what", at(1)).unwrap_err().code, "ReceiptHandleIsInvalid");
}

#[test]
fn the_receipt_of_an_earlier_receive_does_not_delete_a_message() {
    let mut queue = queue_with(QueueDefinition::default(), &["a"]);
    let first = receive(&mut queue, 0).received.remove(0).receipt;
    let second = receive(&mut queue, 30).received.remove(0).receipt;
    queue.delete(&first, at(31)).unwrap();
    assert_eq!(queue.counts(at(31)).in_flight, 1);
    // Its timeout has passed, but nobody else has received it.
    queue.delete(&second, at(90)).unwrap();
    assert_eq!(queue.messages().count(), 0);
}

#[test]
fn visibility_can_be_changed_while_a_message_is_in_flight() {
    let mut queue = queue_with(QueueDefinition::default(), &["a"]);
    let receipt = receive(&mut queue, 0).received.remove(0).receipt;
    queue.change_visibility(&receipt, Duration::from_secs(100), at(10)).unwrap();
    assert!(bodies(&mut queue, 109).is_empty());
    queue.change_visibility(&receipt, Duration::ZERO, at(109)).unwrap();
    let code = |result: Result<(), ServiceError>| result.map_err(|error| error.code);
    assert_eq!(
        code(queue.change_visibility(&receipt, Duration::ZERO, at(109))),
        Err("AWS.SimpleQueueService.MessageNotInflight")
    );
    assert_eq!(bodies(&mut queue, 109), ["a"]);
    let too_long = Duration::from_secs(MAX_VISIBILITY_TIMEOUT + 1);
    assert_eq!(code(queue.change_visibility(&receipt, too_long, at(110))), Err("InvalidParameterValue"));
}

#[test]
fn a_delayed_message_is_received_after_its_delay() {
    let definition = QueueDefinition { delay: Duration::from_secs(5), ..QueueDefinition::default() };
    let mut queue = queue_with(definition, &["queue's delay"]);
    let own = OutgoingMessage { delay: Some(Duration::from_secs(20)), ..message("own delay") };
    send(&mut queue, own, 0).unwrap();
    assert_eq!(queue.counts(at(4)), QueueCounts { visible: 0, in_flight: 0, delayed: 2 });
    assert_eq!(queue.next_visible(at(4)), Some(at(5)));
    assert_eq!(bodies(&mut queue, 5), ["queue's delay"]);
    assert_eq!(bodies(&mut queue, 20), ["own delay"]);
}

#[test]
fn a_message_that_was_received_too_often_becomes_a_dead_letter() {
    let redrive = RedrivePolicy { dead_letters: "Dead".to_owned(), max_receives: 2 };
    let mut queue = queue_with(QueueDefinition { redrive: Some(redrive), ..QueueDefinition::default() }, &["a"]);
    for seconds in [0, 30] {
        assert_eq!(receive(&mut queue, seconds).received.len(), 1);
    }
    let ReceiveResult { received, mut dead } = receive(&mut queue, 60);
    assert_eq!((received.len(), dead.len(), queue.messages().count()), (0, 1, 0));
    let mut dead_letters = Queue::new(QueueDefinition::default());
    dead_letters.add_dead(dead.remove(0), at(60));
    let received = receive(&mut dead_letters, 60).received.remove(0).message;
    assert_eq!((received.id, received.sent_at, received.receives), (Uuid::from_u128(1), at(0), 3));
}

#[test]
fn a_message_expires_after_the_retention_period() {
    let definition = QueueDefinition { retention: Duration::from_secs(60), ..QueueDefinition::default() };
    let mut queue = queue_with(definition, &["a"]);
    queue.expire(at(59));
    assert_eq!(queue.messages().count(), 1);
    queue.expire(at(60));
    assert_eq!(queue.messages().count(), 0);
}

#[test]
fn a_fifo_queue_accepts_a_message_once_in_five_minutes() {
    let mut queue = fifo();
    let first = send(&mut queue, in_group("a", "g", Some("1")), 0).unwrap();
    assert_eq!(send(&mut queue, in_group("changed", "g", Some("1")), 299).unwrap(), first);
    assert_ne!(send(&mut queue, in_group("a", "g", Some("2")), 299).unwrap(), first);
    assert_ne!(send(&mut queue, in_group("a", "g", Some("1")), 300).unwrap(), first);
    assert_eq!(queue.messages().count(), 3);
}

#[test]
fn a_fifo_queue_recognises_a_repeat_after_the_message_was_deleted() {
    let mut queue = fifo();
    send(&mut queue, in_group("a", "g", Some("1")), 0).unwrap();
    let receipt = receive(&mut queue, 0).received.remove(0).receipt;
    queue.delete(&receipt, at(1)).unwrap();
    send(&mut queue, in_group("a", "g", Some("1")), 2).unwrap();
    assert!(bodies(&mut queue, 60).is_empty());
}

#[test]
fn content_based_deduplication_compares_bodies() {
    let definition = QueueDefinition { fifo: true, content_based_deduplication: true, ..QueueDefinition::default() };
    let mut queue = Queue::new(definition);
    for body in ["a", "b", "a"] {
        send(&mut queue, in_group(body, "g", None), 0).unwrap();
    }
    assert_eq!(bodies(&mut queue, 0), ["a", "b"]);
}

#[test]
fn a_message_group_is_received_in_order_and_blocks_only_itself() {
    let mut queue = fifo();
    for (number, (body, group)) in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b")].into_iter().enumerate() {
        send(&mut queue, in_group(body, group, Some(&number.to_string())), 0).unwrap();
    }
    let first = queue.receive(1, None, at(0), String::new).received.remove(0);
    assert_eq!(first.message.body, "a1");
    assert_eq!(bodies(&mut queue, 0), ["b1", "b2"]);
    queue.delete(&first.receipt, at(1)).unwrap();
    assert_eq!(bodies(&mut queue, 1), ["a2"]);
}

#[test]
fn an_expired_receipt_does_not_delete_a_message_of_a_fifo_queue() {
    let mut queue = fifo();
    send(&mut queue, in_group("a", "g", Some("1")), 0).unwrap();
    let receipt = receive(&mut queue, 0).received.remove(0).receipt;
    assert_eq!(queue.delete(&receipt, at(30)).unwrap_err().code, "InvalidParameterValue");
    assert_eq!(bodies(&mut queue, 30), ["a"]);
}

#[test]
fn a_message_that_a_queue_does_not_accept_is_an_error() {
    let code = |queue: &mut Queue, message| send(queue, message, 0).unwrap_err().code;
    let mut standard = Queue::new(QueueDefinition::default());
    let delayed =
        |seconds| OutgoingMessage { delay: Some(Duration::from_secs(seconds)), ..in_group("a", "g", Some("1")) };
    assert_eq!(code(&mut standard, message("")), "MissingParameter");
    assert_eq!(code(&mut standard, message("\u{1}")), "InvalidMessageContents");
    assert_eq!(code(&mut standard, message(&"x".repeat(MAX_MESSAGE_BYTES + 1))), "InvalidParameterValue");
    assert_eq!(code(&mut standard, in_group("a", "g", Some("1"))), "InvalidParameterValue");
    assert_eq!(
        code(&mut standard, OutgoingMessage { deduplication_id: None, ..delayed(901) }),
        "InvalidParameterValue"
    );
    assert_eq!(code(&mut fifo(), message("a")), "MissingParameter");
    assert_eq!(code(&mut fifo(), in_group("a", "g", None)), "InvalidParameterValue");
    assert_eq!(code(&mut fifo(), delayed(1)), "InvalidParameterValue");
    assert!(send(&mut standard, message(&"x".repeat(MAX_MESSAGE_BYTES)), 0).is_ok());
}

#[test]
fn a_restored_queue_continues_where_it_was() {
    let mut queue = fifo();
    send(&mut queue, in_group("a", "g", Some("1")), 0).unwrap();
    send(&mut queue, in_group("b", "g", Some("2")), 0).unwrap();
    let receipt = queue.receive(1, None, at(0), String::new).received.remove(0).receipt;
    let QueueChanges { messages, accepted } = queue.take_changes();
    let messages = messages.into_iter().filter_map(|(key, message)| Some((key, message?.clone()))).collect();
    let accepted = accepted.into_iter().filter_map(|(key, accepted)| Some((key, accepted?.clone()))).collect();
    let mut restored = Queue::restored(fifo().definition, messages, accepted);
    assert!(bodies(&mut restored, 1).is_empty(), "a is in flight, and b is in its group");
    assert_eq!(send(&mut restored, in_group("b", "g", Some("2")), 1).unwrap().sequence, 2);
    assert_eq!(send(&mut restored, in_group("c", "g", Some("3")), 1).unwrap().sequence, 3);
    restored.delete(&receipt, at(1)).unwrap();
    assert_eq!(bodies(&mut restored, 1), ["b", "c"]);
}
