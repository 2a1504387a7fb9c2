//! An event source mapping: from the stream of the write table to the projector, by the rules of Lambda.
//!
//! 1. [`rules`]: what becomes of a batch, pure.
//! 2. [`record`]: the records of a stream as the events of Lambda.
//! 3. [`Pump`]: reads the shards, one batch of each in flight.

pub mod record;
pub mod rules;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use aws_sdk_dynamodbstreams::{
    Client,
    error::{DisplayErrorContext, SdkError},
    operation::get_records::GetRecordsError,
    types::ShardIteratorType,
};
use cqrs_dynamodb::Ambient;

use self::{
    record::Record,
    rules::{Delivery, Discarded, Outcome},
};
use crate::{functions::Function, template::EventSourceMapping};

/// How long the pump waits before it looks at an idle stream again: Lambda polls four times a second.
const POLL: Duration = Duration::from_millis(250);
/// The longest pause before a batch that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often a batch may fail in a row before [`Pump::drain`] gives up.
const PATIENCE: usize = 50;

/// An event source mapping at work.
pub struct Pump {
    streams: Client,
    stream_arn: String,
    mapping: EventSourceMapping,
    function: Function,
    ambient: Ambient,
    shards: BTreeMap<String, Shard>,
    /// The shard that was served last: the next one comes first, so that a shard that fails holds up no other.
    served: Option<String>,
}

/// A shard of the stream, and the batches cut from it that are not done with.
#[derive(Debug, Default)]
struct Shard {
    parent: Option<String>,
    iterator: Option<String>,
    /// The last record read; an iterator that has expired goes on after it.
    read_to: Option<String>,
    /// The shard is closed, and read to its end.
    ended: bool,
    waiting: VecDeque<Delivery>,
}

/// What a step came to.
#[derive(Debug)]
pub enum Step {
    /// There was nothing to deliver.
    Idle,
    /// A batch was delivered, with this outcome.
    Delivered(Outcome),
    /// A batch was delivered and given up.
    GaveUp(Discarded),
}

impl Pump {
    /// A pump at the start of the stream (`TRIM_HORIZON`).
    pub fn new(
        streams: Client,
        stream_arn: String,
        mapping: EventSourceMapping,
        function: Function,
        ambient: Ambient,
    ) -> Self {
        Self { streams, stream_arn, mapping, function, ambient, shards: BTreeMap::new(), served: None }
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

    /// Delivers for ever.
    pub async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let pause = match self.step().await {
                Ok(Step::Idle) => POLL,
                Ok(Step::Delivered(Outcome::Success)) => {
                    failures = 0;
                    self.mapping.window
                }
                Ok(Step::Delivered(Outcome::FailedFrom(_) | Outcome::Failed)) => {
                    failures = failures.saturating_add(1);
                    POLL.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE)
                }
                Ok(Step::GaveUp(discarded)) => {
                    tracing::error!(on_failure = %discarded.message(&self.stream_arn), "a batch was given up");
                    Duration::ZERO
                }
                Err(error) => {
                    tracing::error!("the stream cannot be read: {error}");
                    LONGEST_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Delivers one batch, of the first shard that has one.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub async fn step(&mut self) -> Result<Step, String> {
        self.find_shards().await?;
        let mut ids: Vec<String> = self.shards.keys().cloned().collect();
        let next = ids.iter().position(|id| Some(id) > self.served.as_ref()).unwrap_or_default();
        ids.rotate_left(next);
        for id in ids {
            if self.is_blocked(&id) {
                continue;
            }
            self.fill(&id).await?;
            let Some(shard) = self.shards.get_mut(&id) else { continue };
            if let Some(delivery) = shard.waiting.pop_front() {
                self.served = Some(id.clone());
                return Ok(self.deliver(&id, delivery).await);
            }
        }
        Ok(Step::Idle)
    }

    async fn deliver(&mut self, shard: &str, delivery: Delivery) -> Step {
        let now = self.ambient.now();
        let answer = self.function.invoke(delivery.event(), now.as_millisecond()).await;
        let outcome = match &answer {
            Ok(answer) => rules::outcome(answer, &delivery, self.mapping.reports_failures),
            Err(error) => {
                tracing::warn!("the projector failed: {error}");
                Outcome::Failed
            }
        };
        let (next, discarded) = rules::after(&self.mapping, delivery, outcome, now);
        if let Some(shard) = self.shards.get_mut(shard) {
            next.into_iter().rev().for_each(|delivery| shard.waiting.push_front(delivery));
        }
        discarded.map_or(Step::Delivered(outcome), |mut discarded| {
            shard.clone_into(&mut discarded.shard);
            Step::GaveUp(discarded)
        })
    }

    /// A shard waits until its parent is read and delivered to its end.
    fn is_blocked(&self, id: &str) -> bool {
        let parent = self.shards.get(id).and_then(|shard| shard.parent.as_ref()).and_then(|id| self.shards.get(id));
        parent.is_some_and(|parent| !parent.ended || !parent.waiting.is_empty())
    }

    async fn find_shards(&mut self) -> Result<(), String> {
        let mut from = None;
        loop {
            let request = self.streams.describe_stream().stream_arn(&self.stream_arn);
            let described = request.set_exclusive_start_shard_id(from).send().await.map_err(in_words)?;
            let Some(description) = described.stream_description else { return Ok(()) };
            for shard in description.shards.unwrap_or_default() {
                if let Some(id) = shard.shard_id {
                    let parent = shard.parent_shard_id;
                    self.shards.entry(id).or_insert_with(|| Shard { parent, ..Shard::default() });
                }
            }
            from = description.last_evaluated_shard_id;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads the next page of a shard that has nothing waiting, and cuts it into batches.
    async fn fill(&mut self, id: &str) -> Result<(), String> {
        let Some(shard) = self.shards.get_mut(id).filter(|shard| shard.waiting.is_empty() && !shard.ended) else {
            return Ok(());
        };
        let iterator = match shard.iterator.take() {
            Some(iterator) => Some(iterator),
            None => iterator(&self.streams, &self.stream_arn, id, shard.read_to.as_deref()).await?,
        };
        let page = match self.streams.get_records().set_shard_iterator(iterator).send().await {
            Ok(page) => page,
            // Asked for anew at the next step.
            Err(SdkError::ServiceError(answer))
                if matches!(answer.err(), GetRecordsError::ExpiredIteratorException(_)) =>
            {
                return Ok(());
            }
            Err(SdkError::ServiceError(answer))
                if matches!(answer.err(), GetRecordsError::TrimmedDataAccessException(_)) =>
            {
                tracing::error!("records were trimmed before they were read");
                shard.read_to = None;
                return Ok(());
            }
            Err(error) => return Err(in_words(error)),
        };
        let records: Vec<Record> = page.records.unwrap_or_default().into_iter().map(Record::from).collect();
        if let Some(last) = records.last() {
            shard.read_to = Some(last.sequence_number.clone());
        }
        shard.ended = page.next_shard_iterator.is_none();
        shard.iterator = page.next_shard_iterator;
        shard.waiting.extend(rules::cut(records, self.mapping.batch_size));
        Ok(())
    }
}

async fn iterator(
    streams: &Client,
    stream_arn: &str,
    shard: &str,
    read_to: Option<&str>,
) -> Result<Option<String>, String> {
    let kind = match read_to {
        Some(_) => ShardIteratorType::AfterSequenceNumber,
        None => ShardIteratorType::TrimHorizon,
    };
    let request = streams.get_shard_iterator().stream_arn(stream_arn).shard_id(shard).shard_iterator_type(kind);
    let answer = request.set_sequence_number(read_to.map(str::to_owned)).send().await.map_err(in_words)?;
    Ok(answer.shard_iterator)
}

fn in_words(error: impl std::error::Error) -> String {
    DisplayErrorContext(error).to_string()
}
