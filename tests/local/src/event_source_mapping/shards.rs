//! Virtual shards: ranges of key hashes, each delivered in order, parents before their children.
//!
//! An emulator's stream has one shard. A stream on AWS has several, and splits them. So the records of the one shard
//! are distributed to virtual shards. A shard has as many queues as the mapping's parallelization factor, and each
//! queue has at most one batch in flight. All records of a partition key go to the same queue.

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{
    record::Record,
    rules::{self, Delivery},
};
use crate::{hash, template::MappingDefinition};

/// The virtual shards of a stream, with their unfinished records.
#[derive(Debug)]
pub struct Shards {
    shards: Vec<Shard>,
    factor: usize,
    /// The queue of the last delivery. The search starts after it, so a failing queue does not block the others.
    last_served: ShardSlot,
    /// Sequence numbers of the records that may be unfinished, in the order of the stream.
    unfinished: VecDeque<String>,
}

/// The index of a shard, and of a queue in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardSlot {
    pub shard: usize,
    pub queue: usize,
}

#[derive(Debug)]
struct Shard {
    /// The lowest key hash.
    from: u64,
    /// The highest key hash, inclusive.
    to: u64,
    parent: Option<usize>,
    /// Set by a split. A closed shard gets no more records.
    closed: bool,
    queues: Vec<ShardQueue>,
}

#[derive(Debug, Default)]
struct ShardQueue {
    /// Records that are in no batch yet.
    records: VecDeque<Record>,
    /// Arrival of the first of `records`.
    since: Timestamp,
    /// Batches to deliver again, in order.
    retries: VecDeque<Delivery>,
    /// First sequence number of the batch in flight.
    in_flight: Option<String>,
    not_before: Timestamp,
}

impl Shards {
    /// Creates `number` shards, each with `factor` queues.
    pub fn new(number: usize, factor: usize) -> Self {
        let (number, factor) = (number.max(1), factor.max(1));
        let width = u64::MAX / u64::try_from(number).unwrap_or(u64::MAX);
        let edge = |shard: usize| width.saturating_mul(u64::try_from(shard).unwrap_or(u64::MAX));
        let last = |shard: usize| if shard + 1 == number { u64::MAX } else { edge(shard + 1) - 1 };
        let shards = (0..number).map(|shard| Shard::new(edge(shard), last(shard), None, factor)).collect();
        Self { shards, factor, last_served: ShardSlot::default(), unfinished: VecDeque::new() }
    }

    /// Adds a record that arrived `now` to the open shard of its key.
    pub fn push(&mut self, record: Record, now: Timestamp) {
        let hash = hash::of(&["shard", &record.partition_key]);
        let factor = self.factor;
        let owner = self.shards.iter_mut().find(|shard| !shard.closed && (shard.from..=shard.to).contains(&hash));
        let queue = owner.and_then(|shard| shard.queues.get_mut(usize::try_from(hash % 1009).unwrap_or(0) % factor));
        if let Some(queue) = queue {
            if queue.records.is_empty() {
                queue.since = now;
            }
            self.unfinished.push_back(record.sequence_number.clone());
            queue.records.push_back(record);
        }
    }

    /// Splits the shard in two. New records go to its children, which wait until the shard is finished.
    pub fn split(&mut self, shard: usize) {
        let factor = self.factor;
        if let Some(parent) = self.shards.get_mut(shard).filter(|shard| !shard.closed && shard.from < shard.to) {
            parent.closed = true;
            let middle = parent.from + (parent.to - parent.from) / 2;
            let halves = [(parent.from, middle), (middle + 1, parent.to)];
            self.shards.extend(halves.map(|(from, to)| Shard::new(from, to, Some(shard), factor)));
        }
    }

    /// The indexes of the open shards.
    pub fn open_shards(&self) -> Vec<usize> {
        self.shards.iter().enumerate().filter(|(_, shard)| !shard.closed).map(|(number, _)| number).collect()
    }

    /// The next batch that is due at `now`. Its queue gives no other batch until [`finish`](Self::finish).
    pub fn next(&mut self, definition: &MappingDefinition, now: Timestamp) -> Option<(ShardSlot, Delivery)> {
        let slots: Vec<ShardSlot> = (0..self.shards.len())
            .flat_map(|shard| (0..self.factor).map(move |queue| ShardSlot { shard, queue }))
            .filter(|slot| !self.is_blocked(slot.shard))
            .collect();
        let first = slots.iter().position(|slot| *slot > self.last_served).unwrap_or_default();
        let (behind, ahead) = slots.split_at(first);
        for slot in ahead.iter().chain(behind) {
            if let Some(delivery) = self.queue(*slot).and_then(|queue| queue.next(definition, now)) {
                self.last_served = *slot;
                return Some((*slot, delivery));
            }
        }
        None
    }

    /// Ends the delivery of `slot`. Its next batches are `retries`, in order, but not before `not_before`.
    pub fn finish(&mut self, slot: ShardSlot, retries: Vec<Delivery>, not_before: Timestamp) {
        if let Some(queue) = self.queue(slot) {
            queue.in_flight = None;
            queue.not_before = not_before;
            retries.into_iter().rev().for_each(|delivery| queue.retries.push_front(delivery));
        }
    }

    /// The number of records that are in no batch yet.
    pub fn backlog(&self) -> usize {
        self.shards.iter().flat_map(|shard| &shard.queues).map(|queue| queue.records.len()).sum()
    }

    /// The sequence number up to which all records are finished. `None` if it has not changed since the last call.
    ///
    /// It is always the number of a record: engines reject other numbers.
    pub fn next_checkpoint(&mut self) -> Option<String> {
        let queues = self.shards.iter().flat_map(|shard| &shard.queues);
        let first_unfinished =
            queues.filter_map(ShardQueue::first).map(rules::sequence_position).min().unwrap_or(u128::MAX);
        let mut checkpoint = None;
        while let Some(number) =
            self.unfinished.pop_front_if(|number| rules::sequence_position(number) < first_unfinished)
        {
            checkpoint = Some(number);
        }
        checkpoint
    }

    /// Returns whether the shard has an ancestor with unfinished records.
    fn is_blocked(&self, shard: usize) -> bool {
        let parent = self.shards.get(shard).and_then(|shard| shard.parent);
        parent.is_some_and(|parent| {
            let finished = |queue: &ShardQueue| queue.first().is_none();
            self.is_blocked(parent) || !self.shards.get(parent).is_some_and(|shard| shard.queues.iter().all(finished))
        })
    }

    fn queue(&mut self, slot: ShardSlot) -> Option<&mut ShardQueue> {
        self.shards.get_mut(slot.shard)?.queues.get_mut(slot.queue)
    }
}

impl Shard {
    fn new(from: u64, to: u64, parent: Option<usize>, factor: usize) -> Self {
        Self { from, to, parent, closed: false, queues: (0..factor).map(|_| ShardQueue::default()).collect() }
    }
}

impl ShardQueue {
    fn next(&mut self, definition: &MappingDefinition, now: Timestamp) -> Option<Delivery> {
        if self.in_flight.is_some() || now < self.not_before {
            return None;
        }
        let delivery = match self.retries.pop_front() {
            Some(delivery) => delivery,
            None if self.is_gathered(definition, now) => rules::take_batch(&mut self.records, definition.batch_size),
            None => return None,
        };
        self.in_flight = delivery.records.first().map(|record| record.sequence_number.clone());
        Some(delivery)
    }

    /// Returns whether the queue has a full batch, or its batching window has ended.
    fn is_gathered(&self, definition: &MappingDefinition, now: Timestamp) -> bool {
        let is_due = || now >= self.since.saturating_add(window(definition.window)).unwrap_or(Timestamp::MAX);
        self.records.len() >= definition.batch_size || (!self.records.is_empty() && is_due())
    }

    /// The first unfinished sequence number.
    fn first(&self) -> Option<&str> {
        let retries = self.retries.front().and_then(|delivery| delivery.records.first());
        let next = retries.or(self.records.front()).map(|record| record.sequence_number.as_str());
        self.in_flight.as_deref().or(next)
    }
}

fn window(window: Duration) -> SignedDuration {
    SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests;
