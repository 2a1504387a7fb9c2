//! The order and the isolation that Lambda promises.

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

fn mapping(batch_size: usize, window: u64) -> MappingDefinition {
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
    (0..records).for_each(|number| shards.take_in(record(number, &format!("key-{}", number % 20)), NOW));
    shards
}

/// Delivers all there is, one batch after the other, and gives the keys and numbers in the order of their delivery.
fn deliver_all(shards: &mut Shards, mapping: &MappingDefinition) -> Vec<(Place, String, usize)> {
    let mut delivered = Vec::new();
    while let Some((place, delivery)) = shards.next(mapping, NOW) {
        for record in &delivery.records {
            delivered.push((place, record.partition_key.clone(), record.sequence_number.parse().unwrap()));
        }
        shards.conclude(place, Vec::new(), NOW);
    }
    delivered
}

#[test]
fn a_key_keeps_its_shard_and_its_order() {
    let delivered = deliver_all(&mut filled(4, 2, 400), &mapping(7, 0));
    assert_eq!(delivered.len(), 400);
    let mut by_key: BTreeMap<String, Vec<(Place, usize)>> = BTreeMap::new();
    delivered.into_iter().for_each(|(place, key, number)| by_key.entry(key).or_default().push((place, number)));
    for (key, records) in by_key {
        assert!(records.is_sorted_by_key(|(_, number)| *number), "{key}");
        assert!(records.iter().all(|(place, _)| *place == records[0].0), "{key}");
    }
}

#[test]
fn keys_are_spread_over_all_shards_and_lanes() {
    let mut shards = Shards::new(4, 2);
    (0..1000).for_each(|number| shards.take_in(record(number, &format!("order#{number}")), NOW));
    let places: BTreeSet<Place> = deliver_all(&mut shards, &mapping(10, 0)).iter().map(|(place, ..)| *place).collect();
    assert_eq!(places.len(), 8);
}

#[test]
fn a_lane_has_one_batch_in_flight_and_the_others_go_on() {
    let mut shards = filled(2, 2, 400);
    let mapping = mapping(5, 0);
    let mut in_flight = BTreeSet::new();
    while let Some((place, _)) = shards.next(&mapping, NOW) {
        assert!(in_flight.insert(place), "two batches of one lane");
    }
    assert_eq!(in_flight.len(), 4);
}

#[test]
fn a_batch_that_comes_again_comes_before_all_others_of_its_lane() {
    let mut shards = filled(1, 1, 20);
    let mapping = mapping(5, 0);
    let (place, first) = shards.next(&mapping, NOW).unwrap();
    shards.conclude(place, vec![first.clone()], NOW);
    assert_eq!(shards.next(&mapping, NOW).unwrap().1, first);
}

#[test]
fn a_batch_that_waits_holds_up_its_own_lane_alone() {
    let mut shards = filled(4, 1, 200);
    let mapping = mapping(5, 0);
    let (place, first) = shards.next(&mapping, NOW).unwrap();
    let later = NOW + SignedDuration::from_secs(10);
    shards.conclude(place, vec![first.clone()], later);
    let rest = deliver_all(&mut shards, &mapping);
    assert!(rest.iter().all(|(other, ..)| *other != place) && !rest.is_empty());
    assert_eq!(shards.next(&mapping, later), Some((place, first)));
}

#[test]
fn children_wait_until_their_parent_is_done() {
    let mut shards = filled(1, 1, 40);
    let mapping = mapping(10, 0);
    shards.split(0);
    (40..80).for_each(|number| shards.take_in(record(number, &format!("key-{}", number % 20)), NOW));
    let (place, first) = shards.next(&mapping, NOW).unwrap();
    assert_eq!((place.shard, shards.next(&mapping, NOW)), (0, None));
    shards.conclude(place, vec![first], NOW);
    let delivered = deliver_all(&mut shards, &mapping);
    let shard_of = |number: usize| delivered.iter().find(|(.., n)| *n == number).unwrap().0.shard;
    assert!((0..40).all(|number| shard_of(number) == 0) && (40..80).all(|number| [1, 2].contains(&shard_of(number))));
    assert!(delivered[..40].iter().all(|(place, ..)| place.shard == 0));
    assert_eq!(shards.open(), [1, 2]);
}

#[test]
fn a_window_gathers_a_fuller_batch() {
    let mut shards = filled(1, 1, 5);
    let gathering = mapping(10, 3);
    assert_eq!(shards.next(&gathering, NOW), None);
    let later = NOW + SignedDuration::from_secs(3);
    assert_eq!(shards.next(&gathering, later).unwrap().1.records.len(), 5);
    let mut full = filled(1, 1, 10);
    assert_eq!(full.next(&gathering, NOW).unwrap().1.records.len(), 10);
}

#[test]
fn the_position_is_the_record_before_the_first_that_is_not_done() {
    let mut shards = filled(1, 1, 20);
    let mapping = mapping(5, 0);
    assert_eq!(shards.done_to(), None);
    let (place, _) = shards.next(&mapping, NOW).unwrap();
    assert_eq!(shards.done_to(), None, "in flight is not done");
    shards.conclude(place, Vec::new(), NOW);
    assert_eq!(shards.done_to().as_deref(), Some("4"));
    assert_eq!(shards.done_to(), None, "nothing new");
    deliver_all(&mut shards, &mapping);
    assert_eq!(shards.done_to().as_deref(), Some("19"));
}
