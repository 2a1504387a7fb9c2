//! An event source mapping: from the stream of the write table to the projector, by the rules of Lambda.
//!
//! 1. [`rules`]: what becomes of a batch, pure; [`shards`]: in which order batches are delivered, pure.
//! 2. [`source`]: reads the stream; [`record`]: its records as the events of Lambda.
//! 3. [`EventSourceMapping`]: delivers; [`files`]: what it keeps in files.

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

/// How long the mapping waits before it looks at an idle stream again: Lambda polls four times a second.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The longest pause before a batch that failed is tried again.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// How many records are read ahead of their delivery.
const READ_AHEAD: usize = 10_000;
/// The most records of a batch under hostile delivery.
const CHAOS_BATCH_SIZE: usize = 8;
/// How often a batch may fail in a row before [`EventSourceMapping::drain`] gives up.
const MAX_FAILURES_IN_A_ROW: usize = 200;

/// An event source mapping at work.
pub struct EventSourceMapping {
    reader: StreamReader,
    shards: Shards,
    definition: MappingDefinition,
    function: Function,
    environment: Environment,
    files: MappingFiles,
    chaos: Option<Arc<Chaos>>,
}

/// What a step came to.
#[derive(Debug)]
pub enum DeliveryStep {
    /// There was nothing to deliver.
    Idle,
    /// A batch was delivered, with this outcome.
    Delivered(BatchOutcome),
    /// A batch was delivered, and what it left was given up.
    Discarded(DiscardedDelivery),
}

/// A delivery that has come to its end.
type FinishedDelivery = (ShardSlot, Delivery, BatchOutcome);

impl EventSourceMapping {
    /// A mapping at the start of the stream, or after the position that is kept.
    pub fn new(
        streams: aws_sdk_dynamodbstreams::Client,
        stream_arn: String,
        definition: MappingDefinition,
        function: Function,
        environment: Environment,
    ) -> Self {
        let shards = Shards::new(1, definition.parallelization);
        let reader = StreamReader::new(streams, stream_arn, None);
        Self { reader, shards, definition, function, environment, files: MappingFiles::default(), chaos: None }
    }

    /// The same, with so many virtual shards.
    #[must_use]
    pub fn with_shards(mut self, number: usize) -> Self {
        self.shards = Shards::new(number, self.definition.parallelization);
        self
    }

    /// The same, going on from the position that is kept, and files it.
    #[must_use]
    pub fn with_files(mut self, files: MappingFiles) -> Self {
        self.reader = self.reader.after(files.checkpoint());
        self.files = files;
        self
    }

    /// The same, with a hostile delivery; in small batches, so that there are many to go wrong.
    #[must_use]
    pub fn with_chaos(mut self, chaos: Arc<Chaos>) -> Self {
        self.definition.batch_size = self.definition.batch_size.min(CHAOS_BATCH_SIZE);
        self.chaos = Some(chaos);
        self
    }

    /// Delivers until the stream is empty.
    ///
    /// # Errors
    /// If the stream cannot be read, or batches keep failing.
    pub async fn drain(&mut self) -> Result<(), String> {
        let mut failures = 0;
        while failures < MAX_FAILURES_IN_A_ROW {
            match self.step().await? {
                DeliveryStep::Idle => return Ok(()),
                DeliveryStep::Delivered(BatchOutcome::Success) | DeliveryStep::Discarded(_) => failures = 0,
                DeliveryStep::Delivered(BatchOutcome::FailedFrom(_) | BatchOutcome::Failed) => failures += 1,
            }
        }
        Err(format!("{MAX_FAILURES_IN_A_ROW} deliveries in a row failed"))
    }

    /// Delivers one batch, whatever pauses and windows say.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub async fn step(&mut self) -> Result<DeliveryStep, String> {
        self.read().await?;
        let Some((slot, delivery)) = self.next(Timestamp::MAX) else { return Ok(DeliveryStep::Idle) };
        let finished = self.deliver(slot, delivery).await;
        Ok(self.finish(finished, Timestamp::MIN))
    }

    /// Delivers for ever, a batch of each queue at once.
    pub async fn run(mut self) {
        let mut in_flight: FuturesUnordered<BoxFuture<'static, FinishedDelivery>> = FuturesUnordered::new();
        loop {
            let mut pause = POLL_INTERVAL;
            if let Err(error) = self.read().await {
                tracing::error!("the stream cannot be read: {error}");
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

    /// Takes in what is new in the stream.
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

    /// The next batch whose turn has come by `turn`. What has become too old on the way is given up.
    fn next(&mut self, turn: Timestamp) -> Option<(ShardSlot, Delivery)> {
        while let Some((slot, delivery)) = self.shards.next(&self.definition, turn) {
            let (delivery, too_old) = rules::discard_expired(&self.definition, delivery, self.environment.now());
            too_old.iter().for_each(|discarded| self.discard(slot, discarded));
            match delivery {
                Some(delivery) => return Some((slot, delivery)),
                None => self.shards.finish(slot, Vec::new(), Timestamp::MIN),
            }
        }
        None
    }

    fn deliver(&self, slot: ShardSlot, delivery: Delivery) -> BoxFuture<'static, FinishedDelivery> {
        let (function, chaos) = (self.function.clone(), self.chaos.clone());
        let (now, reports) = (self.environment.now().as_millisecond(), self.definition.reports_failures);
        Box::pin(async move {
            let outcome = match chaos {
                Some(chaos) => chaos.deliver(&function, &delivery, now).await,
                None => match function.invoke(delivery.event(), now).await {
                    Ok(answer) => rules::outcome(&answer, &delivery, reports),
                    Err(error) => {
                        tracing::warn!("the projector failed: {error}");
                        BatchOutcome::Failed
                    }
                },
            };
            (slot, delivery, outcome)
        })
    }

    fn finish(&mut self, (slot, delivery, outcome): FinishedDelivery, not_before: Timestamp) -> DeliveryStep {
        let (retries, discarded) = rules::retry_or_discard(&self.definition, delivery, outcome, self.environment.now());
        self.shards.finish(slot, retries, not_before);
        // Told before it is behind the position: after a kill between the two, it is told again.
        discarded.iter().for_each(|discarded| self.discard(slot, discarded));
        self.shards.next_checkpoint().iter().for_each(|position| self.files.save_checkpoint(position));
        discarded.map_or(DeliveryStep::Delivered(outcome), DeliveryStep::Discarded)
    }

    fn discard(&self, slot: ShardSlot, discarded: &DiscardedDelivery) {
        self.files.record_discarded(&discarded.message(self.reader.stream_arn(), slot.shard));
    }
}

/// How long a queue rests: not at all, or longer with each failure.
fn pause_after((_, delivery, outcome): &FinishedDelivery) -> SignedDuration {
    let pause = match outcome {
        BatchOutcome::Success => Duration::ZERO,
        BatchOutcome::FailedFrom(_) | BatchOutcome::Failed => {
            POLL_INTERVAL.saturating_mul(2_u32.saturating_pow(delivery.failures)).min(MAX_PAUSE)
        }
    };
    SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX)
}
