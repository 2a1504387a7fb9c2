//! The event source mapping from the stream of the write table to one of its readers, by the rules of Lambda.
//!
//! 1. [`rules`]: the outcome of a batch and its retries; pure. [`shards`]: the order of delivery; pure.
//! 2. [`stream_reader`]: reads the stream. [`record`]: converts its records to those of Lambda.
//! 3. [`EventSourceMapping`]: delivers batches. [`files`]: stores the checkpoint and discarded batches.

pub mod files;
pub mod record;
pub mod rules;
pub mod shards;
pub mod stream_reader;

use std::{sync::Arc, time::Duration};

use cqrs_dynamodb::Environment;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::{SignedDuration, Timestamp};

use self::{
    files::MappingFiles,
    rules::{BatchOutcome, Delivery, DiscardedDelivery},
    shards::{ShardSlot, Shards},
    stream_reader::StreamReader,
};
use crate::{chaos::Chaos, functions::Function, template::MappingDefinition};

/// The pause between two polls of an idle stream. Lambda polls four times a second.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The longest pause before the retry of a batch.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// The stream is read only below this number of undelivered records.
const READ_AHEAD: usize = 10_000;
/// The most records of a batch with chaos. Small batches give more chances for faults.
const CHAOS_BATCH_SIZE: usize = 8;
/// The number of failed deliveries in a row after which [`EventSourceMapping::drain`] fails.
const MAX_FAILURES_IN_A_ROW: usize = 200;

/// Reads one stream, and delivers its records to one function.
pub struct EventSourceMapping {
    reader: StreamReader,
    shards: Shards,
    definition: MappingDefinition,
    function: Function,
    environment: Environment,
    /// The clock of the engine, which gives the records their times.
    stream_environment: Environment,
    /// The name of the function, for messages and files.
    name: String,
    files: MappingFiles,
    chaos: Option<Arc<Chaos>>,
}

/// The result of one step.
#[derive(Debug)]
pub enum DeliveryStep {
    Idle,
    Delivered(BatchOutcome),
    /// The batch failed for the last time: its remaining records are discarded.
    Discarded(DiscardedDelivery),
}

type FinishedDelivery = (ShardSlot, Delivery, BatchOutcome);

impl EventSourceMapping {
    /// A mapping with one shard that starts at the beginning of the stream.
    pub fn new(
        streams: aws_sdk_dynamodbstreams::Client,
        stream_arn: String,
        definition: MappingDefinition,
        function: Function,
        environment: Environment,
    ) -> Self {
        let shards = Shards::new(1, definition.parallelization);
        let reader = StreamReader::new(streams, stream_arn, None);
        let (stream_environment, name) = (environment.clone(), "the function".to_owned());
        let (files, chaos) = (MappingFiles::default(), None);
        Self { reader, shards, definition, function, environment, stream_environment, name, files, chaos }
    }

    /// Names the function.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The name of the function.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the clock of the engine, if it differs from that of the functions. The ages of records follow it.
    #[must_use]
    pub fn with_stream_environment(self, stream_environment: Environment) -> Self {
        Self { stream_environment, ..self }
    }

    /// Distributes the records to `number` virtual shards.
    #[must_use]
    pub fn with_shards(mut self, number: usize) -> Self {
        self.shards = Shards::new(number, self.definition.parallelization);
        self
    }

    /// Continues after the checkpoint in `files`, and saves checkpoints and discarded batches there.
    #[must_use]
    pub fn with_files(mut self, files: MappingFiles) -> Self {
        self.reader = self.reader.after(files.checkpoint());
        self.files = files;
        self
    }

    /// Delivers with the faults of `chaos`, in small batches.
    #[must_use]
    pub fn with_chaos(mut self, chaos: Arc<Chaos>) -> Self {
        self.definition.batch_size = self.definition.batch_size.min(CHAOS_BATCH_SIZE);
        self.chaos = Some(chaos);
        self
    }

    /// Delivers batches until the stream is empty. Retries at once.
    ///
    /// # Errors
    /// Fails if the stream cannot be read, or if too many deliveries fail in a row.
    pub async fn drain(&mut self) -> Result<(), String> {
        let mut failures = 0;
        while failures < MAX_FAILURES_IN_A_ROW {
            match self.step().await? {
                DeliveryStep::Idle => return Ok(()),
                DeliveryStep::Delivered(BatchOutcome::Success) | DeliveryStep::Discarded(_) => failures = 0,
                DeliveryStep::Delivered(BatchOutcome::FailedFrom(_) | BatchOutcome::Failed) => failures += 1,
            }
        }
        Err(format!("{MAX_FAILURES_IN_A_ROW} deliveries failed in a row"))
    }

    /// Delivers one batch at once, without regard to retry pauses and the batching window.
    ///
    /// # Errors
    /// Fails if the stream cannot be read.
    pub async fn step(&mut self) -> Result<DeliveryStep, String> {
        self.read().await?;
        let Some((slot, delivery)) = self.next(Timestamp::MAX) else { return Ok(DeliveryStep::Idle) };
        let finished = self.deliver(slot, delivery).await;
        Ok(self.finish(finished, Timestamp::MIN))
    }

    /// Delivers batches for ever, one of each queue concurrently.
    pub async fn run(mut self) {
        let mut in_flight: FuturesUnordered<BoxFuture<'static, FinishedDelivery>> = FuturesUnordered::new();
        loop {
            let mut pause = POLL_INTERVAL;
            if let Err(error) = self.read().await {
                tracing::error!("reading the stream for {} failed: {error}", self.name);
                pause = MAX_PAUSE;
            }
            let now = self.environment.now();
            while let Some((slot, delivery)) = self.next(now) {
                in_flight.push(self.deliver(slot, delivery));
            }
            tokio::select! {
                Some(finished) = in_flight.next(), if !in_flight.is_empty() => {
                    let not_before = self.environment.now() + pause_after(&finished);
                    self.finish(finished, not_before);
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads new records of the stream into the shards.
    async fn read(&mut self) -> Result<(), String> {
        if let Some(chaos) = &self.chaos {
            chaos.before_reading(&mut self.reader, &mut self.shards);
        }
        if self.shards.backlog() < READ_AHEAD {
            let now = self.environment.now();
            for record in self.reader.read().await? {
                self.shards.push(record, now);
            }
        }
        Ok(())
    }

    /// The next batch that is due at `due`. Discards records that have become too old.
    fn next(&mut self, due: Timestamp) -> Option<(ShardSlot, Delivery)> {
        while let Some((slot, delivery)) = self.shards.next(&self.definition, due) {
            let (delivery, expired) = rules::discard_expired(&self.definition, delivery, self.stream_environment.now());
            expired.iter().for_each(|discarded| self.discard(slot, discarded));
            match delivery {
                Some(delivery) => return Some((slot, delivery)),
                None => self.shards.finish(slot, Vec::new(), Timestamp::MIN),
            }
        }
        None
    }

    fn deliver(&self, slot: ShardSlot, delivery: Delivery) -> BoxFuture<'static, FinishedDelivery> {
        let (function, chaos, name) = (self.function.clone(), self.chaos.clone(), self.name.clone());
        let (now, reports) = (self.environment.now().as_millisecond(), self.definition.reports_failures);
        Box::pin(async move {
            let outcome = match chaos {
                Some(chaos) => chaos.deliver(&function, &delivery, now).await,
                None => match function.invoke(delivery.event(), now).await {
                    Ok(answer) => rules::outcome(&answer, &delivery, reports),
                    Err(error) => {
                        tracing::warn!("the invocation of {name} failed: {error}");
                        BatchOutcome::Failed
                    }
                },
            };
            (slot, delivery, outcome)
        })
    }

    fn finish(&mut self, (slot, delivery, outcome): FinishedDelivery, not_before: Timestamp) -> DeliveryStep {
        let now = self.stream_environment.now();
        let (retries, discarded) = rules::retry_or_discard(&self.definition, delivery, outcome, now);
        self.shards.finish(slot, retries, not_before);
        // A discarded batch is written to the on-failure destination before the checkpoint passes it. A kill in
        // between writes its message twice.
        discarded.iter().for_each(|discarded| self.discard(slot, discarded));
        self.shards.next_checkpoint().iter().for_each(|checkpoint| self.files.save_checkpoint(checkpoint));
        discarded.map_or(DeliveryStep::Delivered(outcome), DeliveryStep::Discarded)
    }

    fn discard(&self, slot: ShardSlot, discarded: &DiscardedDelivery) {
        self.files.record_discarded(&discarded.message(self.reader.stream_arn(), slot.shard));
    }
}

/// The pause of a queue after a delivery: none after success, and doubled with each failure.
fn pause_after((_, delivery, outcome): &FinishedDelivery) -> SignedDuration {
    let pause = match outcome {
        BatchOutcome::Success => Duration::ZERO,
        BatchOutcome::FailedFrom(_) | BatchOutcome::Failed => {
            POLL_INTERVAL.saturating_mul(2_u32.saturating_pow(delivery.failures)).min(MAX_PAUSE)
        }
    };
    SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX)
}
