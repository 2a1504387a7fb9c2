//! Order and isolation of shards, as Lambda promises them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn record(number: usize, key: &str) -> Record {
    Record {
        sequence_number: number.to_string(),
        arrived_at: NOW,
        partition_key: key.to_owned(),
        bytes: 1,
        json: json!({}),
    }
}

fn definition(batch_size: usize, window: u64) -> MappingDefinition {
    MappingDefinition {
        table: "events".to_owned(),
        batch_size,
        window: Duration::from_secs(window),
        reports_failures: true,
        bisects: true,
        retries: None,
        max_age: None,
        parallelization: 1,
    }
}

fn filled(shards: usize, factor: usize, records: usize) -> Shards {
    let mut shards = Shards::new(shards, factor);
    (0..records).for_each(|number| shards.push(record(number, &format!("key-{}", number % 20)), NOW));
    shards
}

/// Delivers all records, one batch after the other. Returns slot, key and number in the order of delivery.
fn deliver_all(shards: &mut Shards, definition: &MappingDefinition) -> Vec<(ShardSlot, String, usize)> {
    let mut delivered = Vec::new();
    while let Some((slot, delivery)) = shards.next(definition, NOW) {
        for record in &delivery.records {
            delivered.push((slot, record.partition_key.clone(), record.sequence_number.parse().unwrap()));
        }
        shards.finish(slot, Vec::new(), NOW);
    }
    delivered
}

#[test]
fn a_key_keeps_its_shard_and_its_sequence() {
    let delivered = deliver_all(&mut filled(4, 2, 400), &definition(7, 0));
    assert_eq!(delivered.len(), 400);
    let mut by_key: BTreeMap<String, Vec<(ShardSlot, usize)>> = BTreeMap::new();
    delivered.into_iter().for_each(|(slot, key, number)| by_key.entry(key).or_default().push((slot, number)));
    for (key, records) in by_key {
        assert!(records.is_sorted_by_key(|(_, number)| *number), "{key}");
        assert!(records.iter().all(|(slot, _)| *slot == records[0].0), "{key}");
    }
}

#[test]
fn keys_are_spread_over_all_shards_and_queues() {
    let mut shards = Shards::new(4, 2);
    (0..1000).for_each(|number| shards.push(record(number, &format!("loan#{number}")), NOW));
    let slots: BTreeSet<ShardSlot> =
        deliver_all(&mut shards, &definition(10, 0)).iter().map(|(slot, ..)| *slot).collect();
    assert_eq!(slots.len(), 8);
}

#[test]
fn a_queue_has_one_batch_in_flight_and_does_not_block_the_others() {
    let mut shards = filled(2, 2, 400);
    let definition = definition(5, 0);
    let mut in_flight = BTreeSet::new();
    while let Some((slot, _)) = shards.next(&definition, NOW) {
        assert!(in_flight.insert(slot), "two batches of one queue are in flight");
    }
    assert_eq!(in_flight.len(), 4);
}

#[test]
fn a_retry_comes_before_all_other_batches_of_its_queue() {
    let mut shards = filled(1, 1, 20);
    let definition = definition(5, 0);
    let (slot, first) = shards.next(&definition, NOW).unwrap();
    shards.finish(slot, vec![first.clone()], NOW);
    assert_eq!(shards.next(&definition, NOW).unwrap().1, first);
}

#[test]
fn a_batch_that_waits_for_its_retry_blocks_only_its_own_queue() {
    let mut shards = filled(4, 1, 200);
    let definition = definition(5, 0);
    let (slot, first) = shards.next(&definition, NOW).unwrap();
    let later = NOW + SignedDuration::from_secs(10);
    shards.finish(slot, vec![first.clone()], later);
    let rest = deliver_all(&mut shards, &definition);
    assert!(rest.iter().all(|(other, ..)| *other != slot) && !rest.is_empty());
    assert_eq!(shards.next(&definition, later), Some((slot, first)));
}

#[test]
fn children_wait_until_their_parent_is_finished() {
    let mut shards = filled(1, 1, 40);
    let definition = definition(10, 0);
    shards.split(0);
    (40..80).for_each(|number| shards.push(record(number, &format!("key-{}", number % 20)), NOW));
    let (slot, first) = shards.next(&definition, NOW).unwrap();
    assert_eq!((slot.shard, shards.next(&definition, NOW)), (0, None));
    shards.finish(slot, vec![first], NOW);
    let delivered = deliver_all(&mut shards, &definition);
    let shard_of = |number: usize| delivered.iter().find(|(.., n)| *n == number).unwrap().0.shard;
    assert!((0..40).all(|number| shard_of(number) == 0) && (40..80).all(|number| [1, 2].contains(&shard_of(number))));
    assert!(delivered[..40].iter().all(|(slot, ..)| slot.shard == 0));
    assert_eq!(shards.open_shards(), [1, 2]);
}

#[test]
fn a_batching_window_waits_for_a_fuller_batch() {
    let mut shards = filled(1, 1, 5);
    let windowed = definition(10, 3);
    assert_eq!(shards.next(&windowed, NOW), None);
    let later = NOW + SignedDuration::from_secs(3);
    assert_eq!(shards.next(&windowed, later).unwrap().1.records.len(), 5);
    let mut full = filled(1, 1, 10);
    assert_eq!(full.next(&windowed, NOW).unwrap().1.records.len(), 10);
}

#[test]
fn the_checkpoint_is_the_last_record_before_the_first_unfinished_one() {
    let mut shards = filled(1, 1, 20);
    let definition = definition(5, 0);
    assert_eq!(shards.next_checkpoint(), None);
    let (slot, _) = shards.next(&definition, NOW).unwrap();
    assert_eq!(shards.next_checkpoint(), None, "a batch in flight is unfinished");
    shards.finish(slot, Vec::new(), NOW);
    assert_eq!(shards.next_checkpoint().as_deref(), Some("4"));
    assert_eq!(shards.next_checkpoint(), None, "the checkpoint has not changed");
    deliver_all(&mut shards, &definition);
    assert_eq!(shards.next_checkpoint().as_deref(), Some("19"));
}
