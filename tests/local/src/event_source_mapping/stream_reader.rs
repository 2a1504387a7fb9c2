//! Reads a stream from where it was read to, page by page.

use std::collections::BTreeMap;

use aws_sdk_dynamodbstreams::{
    Client,
    error::{DisplayErrorContext, SdkError},
    operation::{get_records::GetRecordsError, get_shard_iterator::GetShardIteratorError},
    types::{Shard, ShardIteratorType},
};

use super::{record::Record, rules};

/// The most bytes of a page. A page of an emulator may be larger than one of AWS, and is cut.
const PAGE: usize = 1024 * 1024;

/// The records of a stream that were not read yet.
pub struct StreamReader {
    streams: Client,
    stream_arn: String,
    /// Where to begin, if not at the start of the stream (`TRIM_HORIZON`): after this sequence number.
    position: Option<String>,
    /// By their ids. An emulator closes a shard now and then, and opens the next.
    shards: BTreeMap<String, ShardReader>,
}

/// How far a shard of the emulator is read.
#[derive(Debug, Default)]
struct ShardReader {
    parent: Option<String>,
    iterator: Option<String>,
    read_to: Option<String>,
    ended: bool,
}

impl StreamReader {
    /// The stream, after `position` or from its start.
    pub fn new(streams: Client, stream_arn: String, position: Option<String>) -> Self {
        Self { streams, stream_arn, position, shards: BTreeMap::new() }
    }

    /// The same stream, after `position`.
    #[must_use]
    pub fn after(self, position: Option<String>) -> Self {
        Self { position, ..self }
    }

    /// The stream's name.
    pub fn stream_arn(&self) -> &str {
        &self.stream_arn
    }

    /// The next records, in order; none if there are none for now.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub async fn read(&mut self) -> Result<Vec<Record>, String> {
        // Where a shard ends, others have come in its place. Until then there is none to be looked for.
        if self.shards.values().all(|shard| shard.ended) {
            self.find_shards().await?;
        }
        // Parents before their children: what is done with is kept as one place, which all earlier records are before.
        let is_done = |id: &String| self.shards.get(id).is_none_or(|shard| shard.ended);
        let is_next = |shard: &ShardReader| !shard.ended && shard.parent.as_ref().is_none_or(is_done);
        let ids: Vec<String> =
            self.shards.iter().filter(|(_, shard)| is_next(shard)).map(|(id, _)| id.clone()).collect();
        let mut records = Vec::new();
        for id in ids {
            match self.read_page(&id).await {
                Ok(page) => records.extend(page),
                Err(error) if records.is_empty() => return Err(error),
                // What was read of other shards is not thrown away. The error comes again at the next step.
                Err(_) => break,
            }
        }
        Ok(records)
    }

    async fn find_shards(&mut self) -> Result<(), String> {
        let mut from = None;
        loop {
            let request = self.streams.describe_stream().stream_arn(&self.stream_arn);
            let described = request.set_exclusive_start_shard_id(from).send().await.map_err(describe)?;
            let Some(description) = described.stream_description else { return Ok(()) };
            for shard in description.shards.unwrap_or_default() {
                let begun = ShardReader::begin(&shard, self.position.as_deref());
                self.shards.entry(shard.shard_id.unwrap_or_default()).or_insert(begun);
            }
            from = description.last_evaluated_shard_id;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    async fn read_page(&mut self, id: &str) -> Result<Vec<Record>, String> {
        let Some(iterator) = self.iterator(id).await? else { return Ok(Vec::new()) };
        let page = self.streams.get_records().shard_iterator(iterator).send().await;
        let Some(shard) = self.shards.get_mut(id) else { return Ok(Vec::new()) };
        let page = match page {
            Ok(page) => page,
            // An iterator lives for a quarter of an hour. The next step asks for another one.
            Err(error) if expired(&error) => return Ok(Vec::new()),
            Err(error) if trimmed(&error) => {
                tracing::error!("records were trimmed before they were read");
                shard.read_to = None;
                return Ok(Vec::new());
            }
            Err(error) => return Err(describe(error)),
        };
        let all: Vec<Record> = page.records.unwrap_or_default().into_iter().map(Record::from).collect();
        let number = all.len();
        let mut bytes = 0;
        let fits = |record: &Record| {
            bytes += record.bytes;
            bytes <= PAGE || bytes == record.bytes
        };
        let mut records: Vec<Record> = all.into_iter().take_while(fits).collect();
        if let Some(last) = records.last() {
            shard.read_to = Some(last.sequence_number.clone());
        }
        // The rest of a page that was cut is read again, by an iterator of its own. An ending sequence number, which
        // an emulator shows for open shards too, says nothing: a shard ends where there is no next iterator.
        shard.ended = page.next_shard_iterator.is_none() && records.len() == number;
        shard.iterator = page.next_shard_iterator.filter(|_| records.len() == number);
        // A write that changes nothing makes a record in an emulator, and none in AWS.
        records.retain(|record| !record.changes_nothing());
        Ok(records)
    }

    /// The iterator to go on with; `None` at the end of the shard, or if there is none for now.
    async fn iterator(&mut self, id: &str) -> Result<Option<String>, String> {
        let Some(shard) = self.shards.get_mut(id).filter(|shard| !shard.ended) else { return Ok(None) };
        if let Some(iterator) = shard.iterator.take() {
            return Ok(Some(iterator));
        }
        let kind = match shard.read_to {
            Some(_) => ShardIteratorType::AfterSequenceNumber,
            None => ShardIteratorType::TrimHorizon,
        };
        let request = self.streams.get_shard_iterator().stream_arn(&self.stream_arn).shard_id(id);
        let request = request.shard_iterator_type(kind).set_sequence_number(shard.read_to.clone());
        match request.send().await {
            Ok(answer) => Ok(answer.shard_iterator),
            Err(SdkError::ServiceError(answer))
                if matches!(answer.err(), GetShardIteratorError::TrimmedDataAccessException(_)) =>
            {
                tracing::error!("records were trimmed before they were read");
                shard.read_to = None;
                Ok(None)
            }
            Err(error) => Err(describe(error)),
        }
    }

    /// Forgets all iterators, as if they had expired.
    pub fn expire_iterators(&mut self) {
        self.shards.values_mut().for_each(|shard| shard.iterator = None);
    }
}

impl ShardReader {
    /// Begins the shard after `position`; at its start, if that comes later. No engine takes a number that a shard does
    /// not have.
    fn begin(shard: &Shard, position: Option<&str>) -> Self {
        let range = shard.sequence_number_range.as_ref();
        let start = range.and_then(|range| range.starting_sequence_number());
        let end = range.and_then(|range| range.ending_sequence_number());
        let place = |number: &&str| rules::sequence_position(number);
        let after = position.filter(|position| start.is_none_or(|start| place(&start) <= place(position)));
        let after = after.into_iter().chain(after.and(end)).min_by_key(place);
        Self { parent: shard.parent_shard_id.clone(), read_to: after.map(str::to_owned), ..Self::default() }
    }
}

fn expired<R>(error: &SdkError<GetRecordsError, R>) -> bool {
    matches!(error.as_service_error(), Some(GetRecordsError::ExpiredIteratorException(_)))
}

fn trimmed<R>(error: &SdkError<GetRecordsError, R>) -> bool {
    matches!(error.as_service_error(), Some(GetRecordsError::TrimmedDataAccessException(_)))
}

fn describe(error: impl std::error::Error) -> String {
    DisplayErrorContext(error).to_string()
}

#[cfg(test)]
mod tests;
