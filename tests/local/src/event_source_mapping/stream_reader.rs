//! Reads the stream of a table page by page.

use std::collections::BTreeMap;

use aws_sdk_dynamodbstreams::{
    Client,
    error::{DisplayErrorContext, SdkError},
    operation::{get_records::GetRecordsError, get_shard_iterator::GetShardIteratorError},
    types::{Shard, ShardIteratorType},
};

use super::{record::Record, rules};

/// The most bytes of a page on AWS. Larger pages of an emulator are cut.
const MAX_PAGE: usize = 1024 * 1024;

/// Reads the records of a stream, each once.
pub struct StreamReader {
    streams: Client,
    stream_arn: String,
    /// The sequence number to start after. `None` starts at the beginning of the stream (`TRIM_HORIZON`).
    checkpoint: Option<String>,
    /// The emulator's shards, by id. An emulator may close its shard and open another one.
    shards: BTreeMap<String, ShardReader>,
}

/// The read progress of one shard.
#[derive(Debug, Default)]
struct ShardReader {
    parent: Option<String>,
    iterator: Option<String>,
    read_to: Option<String>,
    ended: bool,
}

impl StreamReader {
    pub fn new(streams: Client, stream_arn: String, checkpoint: Option<String>) -> Self {
        Self { streams, stream_arn, checkpoint, shards: BTreeMap::new() }
    }

    /// Starts after `checkpoint`, or at the beginning of the stream without one.
    #[must_use]
    pub fn after(self, checkpoint: Option<String>) -> Self {
        Self { checkpoint, ..self }
    }

    pub fn stream_arn(&self) -> &str {
        &self.stream_arn
    }

    /// Reads one page of each shard. Returns an empty list if there are no new records.
    ///
    /// # Errors
    /// Fails if the stream cannot be read.
    pub async fn read(&mut self) -> Result<Vec<Record>, String> {
        // A new shard appears only when another one ends.
        if self.shards.values().all(|shard| shard.ended) {
            self.find_shards().await?;
        }
        // Parents come before their children: a checkpoint is one number, and all records before it must be finished.
        let has_ended = |id: &String| self.shards.get(id).is_none_or(|shard| shard.ended);
        let is_next = |shard: &ShardReader| !shard.ended && shard.parent.as_ref().is_none_or(has_ended);
        let ids: Vec<String> =
            self.shards.iter().filter(|(_, shard)| is_next(shard)).map(|(id, _)| id.clone()).collect();
        let mut records = Vec::new();
        for id in ids {
            match self.read_page(&id).await {
                Ok(page) => records.extend(page),
                Err(error) if records.is_empty() => return Err(error),
                // Keep the records of the other shards. The next read returns the error, if it persists.
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
                let reader = ShardReader::begin(&shard, self.checkpoint.as_deref());
                self.shards.entry(shard.shard_id.unwrap_or_default()).or_insert(reader);
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
            // An iterator expires after 15 minutes. The next step gets another one.
            Err(error) if expired(&error) => return Ok(Vec::new()),
            Err(error) if trimmed(&error) => {
                tracing::error!("the stream trimmed records that were not read");
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
            bytes <= MAX_PAGE || bytes == record.bytes
        };
        let mut records: Vec<Record> = all.into_iter().take_while(fits).collect();
        if let Some(last) = records.last() {
            shard.read_to = Some(last.sequence_number.clone());
        }
        // A new iterator reads the rest of a page that was cut. A shard has ended if there is no next iterator. Its
        // ending sequence number proves nothing: an emulator also gives one to open shards.
        shard.ended = page.next_shard_iterator.is_none() && records.len() == number;
        shard.iterator = page.next_shard_iterator.filter(|_| records.len() == number);
        // On an emulator, a write that changes nothing creates a record. On AWS it does not.
        records.retain(|record| !record.changes_nothing());
        Ok(records)
    }

    /// The iterator for the next page. `None` at the end of the shard, or after trimmed records.
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
            Ok(response) => Ok(response.shard_iterator),
            Err(SdkError::ServiceError(error))
                if matches!(error.err(), GetShardIteratorError::TrimmedDataAccessException(_)) =>
            {
                tracing::error!("the stream trimmed records that were not read");
                shard.read_to = None;
                Ok(None)
            }
            Err(error) => Err(describe(error)),
        }
    }

    /// Drops all iterators, as if they had expired.
    pub fn expire_iterators(&mut self) {
        self.shards.values_mut().for_each(|shard| shard.iterator = None);
    }
}

impl ShardReader {
    /// Starts after the checkpoint, but within the shard: engines reject numbers outside its range.
    fn begin(shard: &Shard, checkpoint: Option<&str>) -> Self {
        let range = shard.sequence_number_range.as_ref();
        let start = range.and_then(|range| range.starting_sequence_number());
        let end = range.and_then(|range| range.ending_sequence_number());
        let position = |number: &&str| rules::sequence_position(number);
        let after = checkpoint.filter(|checkpoint| start.is_none_or(|start| position(&start) <= position(checkpoint)));
        let after = after.into_iter().chain(after.and(end)).min_by_key(position);
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
