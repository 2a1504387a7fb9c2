//! Fault injection: faults of the stream and of DynamoDB, more often than they occur on AWS.
//!
//! A fault depends on the seed, on the call, and on how often that call was made before. It does not depend on time or
//! on concurrent calls. So the same calls meet the same faults in every run of a seed.

mod messages;

use std::{
    collections::BTreeMap,
    fmt::Write,
    pin::Pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    Template,
    engine::{
        call_keys::CallKeys,
        interceptor::{EngineCall, Fault, Interceptor, MessageFault},
    },
    event_source_mapping::{
        record::Record,
        rules::{self, BatchOutcome, Delivery},
        shards::Shards,
        stream_reader::StreamReader,
    },
    functions::{Function, Invocation},
    hash,
    messaging::event_bus::RoutedMessage,
};

/// A shard is split only below this number of open shards.
const MAX_SHARDS: usize = 16;
/// The number of delivered records that are kept for another delivery.
const MAX_PAST_RECORDS: usize = 200;
/// An invocation dies after fewer polls than this.
const MAX_POLLS: u64 = 24;

/// Injects the faults of one seed.
pub struct Chaos {
    seed: u64,
    keys: CallKeys,
    stopped: AtomicBool,
    occurrences: Mutex<BTreeMap<String, u64>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    past: Mutex<Vec<Record>>,
    past_messages: Mutex<Vec<Value>>,
    zombies: Mutex<JoinSet<()>>,
}

impl Chaos {
    /// The faults of a seed, for calls on the tables of `template`.
    pub fn new(seed: u64, template: &Template) -> Self {
        Self {
            seed,
            keys: CallKeys::of(template),
            stopped: AtomicBool::new(false),
            occurrences: Mutex::default(),
            counts: Mutex::default(),
            past: Mutex::default(),
            past_messages: Mutex::default(),
            zombies: Mutex::default(),
        }
    }

    /// Stops all faults, and waits for zombie invocations to end.
    pub async fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let mut zombies = std::mem::take(&mut *lock(&self.zombies));
        while zombies.join_next().await.is_some() {}
    }

    /// The number of injected faults, by kind.
    pub fn injected(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.counts).clone()
    }

    /// The number of injected faults, in one line.
    pub fn report(&self) -> String {
        let mut line = format!("Chaos {} injected", self.seed);
        for (index, (what, number)) in self.injected().into_iter().enumerate() {
            let _ = write!(line, "{} {number} × {what}", if index == 0 { ":" } else { "," });
        }
        line + "."
    }

    /// Runs before each read of the stream. May expire all iterators, and split a shard.
    pub(crate) fn before_reading(&self, reader: &mut StreamReader, shards: &mut Shards) {
        if self.happens("iterators", 3) {
            self.count("iterator expired");
            reader.expire_iterators();
        }
        let open = shards.open_shards();
        if open.len() < MAX_SHARDS && self.happens("split", 2) {
            self.count("shard split");
            let index = usize::try_from(self.roll("which shard", 1 << 20)).unwrap_or_default() % open.len().max(1);
            open.get(index).into_iter().for_each(|shard| shards.split(*shard));
        }
    }

    /// Delivers the batch with faults, and returns the outcome that the mapping observes.
    pub(crate) async fn deliver(&self, function: &Function, delivery: &Delivery, now_ms: i64) -> BatchOutcome {
        self.remember(delivery);
        if delivery.records.len() > 1 && self.happens("recut", 10) {
            return self.deliver_half(function, delivery, now_ms).await;
        }
        let batch = self.alter(delivery);
        let unaltered = batch == *delivery;
        let decision = self.roll("fate", 100);
        let answer = match decision {
            0..8 => {
                self.count("invocation died");
                let polls = self.roll("lifetime", MAX_POLLS);
                InterruptedInvocation { invocation: function.start(batch.event(), now_ms), polls }.await
            }
            8..14 => {
                self.count("projector response dropped");
                let _ = function.invoke(batch.event(), now_ms).await;
                None
            }
            14..20 => {
                self.count("zombie invocation");
                let zombie = function.start(batch.event(), now_ms);
                lock(&self.zombies).spawn(async move { drop(zombie.await) });
                None
            }
            20..28 => {
                self.count("batch delivered twice");
                let _ = function.invoke(batch.event(), now_ms).await;
                function.invoke(batch.event(), now_ms).await.ok()
            }
            _ => function.invoke(batch.event(), now_ms).await.ok(),
        };
        match answer.map(|answer| rules::outcome(&answer, &batch, true)) {
            Some(BatchOutcome::Success) => BatchOutcome::Success,
            Some(outcome) if unaltered => outcome,
            // The altered batch has other positions than the mapping's. So the mapping delivers all its records again.
            Some(_) | None => BatchOutcome::Failed,
        }
    }

    /// Delivers only the first half of the batch. The mapping then delivers the other half as a batch of its own.
    async fn deliver_half(&self, function: &Function, delivery: &Delivery, now_ms: i64) -> BatchOutcome {
        self.count("batch cut at another place");
        let half = delivery.records.len() / 2;
        let first = Delivery { records: delivery.records.iter().take(half).cloned().collect(), ..delivery.clone() };
        match function.invoke(first.event(), now_ms).await.map(|answer| rules::outcome(&answer, &first, true)) {
            Ok(BatchOutcome::Success) => BatchOutcome::FailedFrom(half),
            Ok(outcome) => outcome,
            Err(_) => BatchOutcome::Failed,
        }
    }

    /// Returns the batch with duplicates, with past records, or in another order.
    fn alter(&self, delivery: &Delivery) -> Delivery {
        let mut records = delivery.records.clone();
        if self.happens("duplicate", 12) {
            self.count("batch with duplicates");
            records.extend(delivery.records.iter().step_by(2).cloned());
        }
        if self.happens("replay", 12) {
            self.count("batch with past records");
            let past = lock(&self.past);
            let step = usize::try_from(self.roll("past", 7)).unwrap_or_default() + 1;
            records.extend(past.iter().rev().step_by(step).take(20).cloned());
        }
        if self.happens("reorder", 15) {
            self.count("batch reordered");
            let salt = self.roll("sequence", u64::MAX).to_string();
            records.sort_by_key(|record| cqrs::derived_id(&[&salt, &record.sequence_number]));
        }
        Delivery { records, failures: delivery.failures }
    }

    fn remember(&self, delivery: &Delivery) {
        let mut past = lock(&self.past);
        past.extend(delivery.records.iter().cloned());
        let excess = past.len().saturating_sub(MAX_PAST_RECORDS);
        past.drain(..excess);
    }

    /// Decides whether a fault happens now, with a probability of `per_cent`.
    fn happens(&self, what: &str, per_cent: u64) -> bool {
        !self.stopped.load(Ordering::SeqCst) && self.roll(what, 100) < per_cent
    }

    /// A number below `sides` that depends on the seed, the kind of decision, and the number of earlier decisions of
    /// that kind.
    fn roll(&self, what: &str, sides: u64) -> u64 {
        if self.stopped.load(Ordering::SeqCst) {
            return sides.saturating_sub(1);
        }
        let mut occurrences = lock(&self.occurrences);
        let occurrence = occurrences.entry(what.to_owned()).or_default();
        *occurrence += 1;
        hash::of(&[&self.seed.to_string(), what, &occurrence.to_string()]) % sides.max(1)
    }

    fn count(&self, what: &'static str) {
        *lock(&self.counts).entry(what).or_default() += 1;
    }
}

impl Interceptor for Chaos {
    fn before(&self, call: &mut EngineCall) -> Fault {
        if let Some(fault) = self.fault_of_message(call) {
            return fault;
        }
        let writes = ["PutItem", "TransactWriteItems"].contains(&call.operation.as_str());
        let reads = ["GetItem", "Query", "BatchGetItem", "TransactGetItems"].contains(&call.operation.as_str());
        if !writes && !reads {
            return Fault::None;
        }
        // In a transaction, only the first item counts: later items include random shards of the counters.
        let subject = self.keys.subjects(&call.body).into_iter().next().unwrap_or_default();
        let (fault, what) = match self.roll(&format!("{} {subject}", call.operation), 1000) {
            0..30 => (Fault::Throttled, "call throttled"),
            30..45 => (Fault::ServerError, "call answered with 500"),
            45..60 => (Fault::RequestDropped, "request dropped"),
            60..90 if writes => (Fault::ResponseDropped, "write landed and response dropped"),
            90..140 if call.operation == "TransactWriteItems" => (Fault::Conflict, "transaction conflict"),
            _ => return Fault::None,
        };
        self.count(what);
        fault
    }

    fn before_message(&self, message: &RoutedMessage) -> MessageFault {
        // A dropped message would be missing in the tables until a sweep, so only the simulation drops messages.
        if self.happens(&format!("doubled {}", message.deduplication_id), 10) {
            self.count("message of a rule or schedule doubled");
            return MessageFault::Doubled;
        }
        MessageFault::None
    }
}

/// An invocation that dies after `polls` polls, at whatever await point it has reached.
struct InterruptedInvocation {
    invocation: Invocation,
    polls: u64,
}

impl Future for InterruptedInvocation {
    type Output = Option<Value>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Value>> {
        match self.polls.checked_sub(1) {
            None => Poll::Ready(None),
            Some(left) => {
                self.polls = left;
                self.invocation.as_mut().poll(context).map(Result::ok)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
