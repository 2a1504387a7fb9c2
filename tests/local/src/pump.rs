//! An event source mapping: from the stream of the write table to the projector, by the rules of Lambda.
//!
//! 1. [`rules`]: what becomes of a batch, pure; [`shards`]: in which order batches are delivered, pure.
//! 2. [`source`]: reads the stream; [`record`]: its records as the events of Lambda.
//! 3. [`Pump`]: delivers; [`keeping`]: what it keeps in files.

pub mod keeping;
pub mod record;
pub mod rules;
pub mod shards;
pub mod source;

use std::{sync::Arc, time::Duration};

use cqrs_dynamodb::Environment;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::{SignedDuration, Timestamp};

use self::{
    keeping::Keeping,
    rules::{Delivery, Discarded, Outcome},
    shards::{Place, Shards},
    source::Source,
};
use crate::{chaos::Chaos, functions::Function, template::MappingDefinition};

/// How long the pump waits before it looks at an idle stream again: Lambda polls four times a second.
const POLL: Duration = Duration::from_millis(250);
/// The longest pause before a batch that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How many records are read ahead of their delivery.
const READ_AHEAD: usize = 10_000;
/// The most records of a batch under hostile delivery.
const HOSTILE_BATCH: usize = 8;
/// How often a batch may fail in a row before [`Pump::drain`] gives up.
const PATIENCE: usize = 200;

/// An event source mapping at work.
pub struct Pump {
    source: Source,
    shards: Shards,
    mapping: MappingDefinition,
    function: Function,
    environment: Environment,
    keeping: Keeping,
    chaos: Option<Arc<Chaos>>,
}

/// What a step came to.
#[derive(Debug)]
pub enum Step {
    /// There was nothing to deliver.
    Idle,
    /// A batch was delivered, with this outcome.
    Delivered(Outcome),
    /// A batch was delivered, and what it left was given up.
    GaveUp(Discarded),
}

/// A delivery that has come to its end.
type Concluded = (Place, Delivery, Outcome);

impl Pump {
    /// A pump at the start of the stream, or after the position that is kept.
    pub fn new(
        streams: aws_sdk_dynamodbstreams::Client,
        stream_arn: String,
        mapping: MappingDefinition,
        function: Function,
        environment: Environment,
    ) -> Self {
        let shards = Shards::new(1, mapping.parallelization);
        let source = Source::new(streams, stream_arn, None);
        Self { source, shards, mapping, function, environment, keeping: Keeping::default(), chaos: None }
    }

    /// The same, with so many virtual shards.
    #[must_use]
    pub fn with_shards(mut self, number: usize) -> Self {
        self.shards = Shards::new(number, self.mapping.parallelization);
        self
    }

    /// The same, going on from the position that is kept, and keeping it.
    #[must_use]
    pub fn keeping(mut self, keeping: Keeping) -> Self {
        self.source = self.source.after(keeping.position());
        self.keeping = keeping;
        self
    }

    /// The same, with a hostile delivery; in small batches, so that there are many to go wrong.
    #[must_use]
    pub fn hostile(mut self, chaos: Arc<Chaos>) -> Self {
        self.mapping.batch_size = self.mapping.batch_size.min(HOSTILE_BATCH);
        self.chaos = Some(chaos);
        self
    }

    /// Delivers until the stream is empty.
    ///
    /// # Errors
    /// If the stream cannot be read, or batches keep failing.
    pub async fn drain(&mut self) -> Result<(), String> {
        let mut failures = 0;
        while failures < PATIENCE {
            match self.step().await? {
                Step::Idle => return Ok(()),
                Step::Delivered(Outcome::Success) | Step::GaveUp(_) => failures = 0,
                Step::Delivered(Outcome::FailedFrom(_) | Outcome::Failed) => failures += 1,
            }
        }
        Err(format!("{PATIENCE} deliveries in a row failed"))
    }

    /// Delivers one batch, whatever pauses and windows say.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub async fn step(&mut self) -> Result<Step, String> {
        self.read().await?;
        let Some((place, delivery)) = self.next(Timestamp::MAX) else { return Ok(Step::Idle) };
        let concluded = self.deliver(place, delivery).await;
        Ok(self.conclude(concluded, Timestamp::MIN))
    }

    /// Delivers for ever, a batch of each lane at once.
    pub async fn run(mut self) {
        let mut in_flight: FuturesUnordered<BoxFuture<'static, Concluded>> = FuturesUnordered::new();
        loop {
            let mut pause = POLL;
            if let Err(error) = self.read().await {
                tracing::error!("the stream cannot be read: {error}");
                pause = LONGEST_PAUSE;
            }
            let now = self.environment.now();
            while let Some((place, delivery)) = self.next(now) {
                in_flight.push(self.deliver(place, delivery));
            }
            tokio::select! {
                Some(concluded) = in_flight.next(), if !in_flight.is_empty() => {
                    let not_before = self.environment.now() + pause_after(&concluded);
                    self.conclude(concluded, not_before);
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes in what is new in the stream.
    async fn read(&mut self) -> Result<(), String> {
        if let Some(chaos) = &self.chaos {
            chaos.before_reading(&mut self.source, &mut self.shards);
        }
        if self.shards.backlog() < READ_AHEAD {
            let now = self.environment.now();
            for record in self.source.read().await? {
                self.shards.take_in(record, now);
            }
        }
        Ok(())
    }

    /// The next batch whose turn has come by `turn`. What has become too old on the way is given up.
    fn next(&mut self, turn: Timestamp) -> Option<(Place, Delivery)> {
        while let Some((place, delivery)) = self.shards.next(&self.mapping, turn) {
            let (delivery, too_old) = rules::before(&self.mapping, delivery, self.environment.now());
            too_old.iter().for_each(|discarded| self.give_up(place, discarded));
            match delivery {
                Some(delivery) => return Some((place, delivery)),
                None => self.shards.conclude(place, Vec::new(), Timestamp::MIN),
            }
        }
        None
    }

    fn deliver(&self, place: Place, delivery: Delivery) -> BoxFuture<'static, Concluded> {
        let (function, chaos) = (self.function.clone(), self.chaos.clone());
        let (now, reports) = (self.environment.now().as_millisecond(), self.mapping.reports_failures);
        Box::pin(async move {
            let outcome = match chaos {
                Some(chaos) => chaos.deliver(&function, &delivery, now).await,
                None => match function.invoke(delivery.event(), now).await {
                    Ok(answer) => rules::outcome(&answer, &delivery, reports),
                    Err(error) => {
                        tracing::warn!("the projector failed: {error}");
                        Outcome::Failed
                    }
                },
            };
            (place, delivery, outcome)
        })
    }

    fn conclude(&mut self, (place, delivery, outcome): Concluded, not_before: Timestamp) -> Step {
        let (again, gave_up) = rules::after(&self.mapping, delivery, outcome, self.environment.now());
        self.shards.conclude(place, again, not_before);
        // Told before it is behind the position: after a kill between the two, it is told again.
        gave_up.iter().for_each(|discarded| self.give_up(place, discarded));
        self.shards.done_to().iter().for_each(|position| self.keeping.keep_position(position));
        gave_up.map_or(Step::Delivered(outcome), Step::GaveUp)
    }

    fn give_up(&self, place: Place, discarded: &Discarded) {
        self.keeping.keep_failure(&discarded.message(self.source.stream_arn(), place.shard));
    }
}

/// How long a lane rests: not at all, or longer with each failure.
fn pause_after((_, delivery, outcome): &Concluded) -> SignedDuration {
    let pause = match outcome {
        Outcome::Success => Duration::ZERO,
        Outcome::FailedFrom(_) | Outcome::Failed => {
            POLL.saturating_mul(2_u32.saturating_pow(delivery.failures)).min(LONGEST_PAUSE)
        }
    };
    SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX)
}
