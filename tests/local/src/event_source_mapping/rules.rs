//! Rules for batches, retries and discards (AWS Lambda Developer Guide, "Using Lambda with Amazon DynamoDB").

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::record::Record;
use crate::template::MappingDefinition;

/// A batch of records to deliver.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// In the order of the stream.
    pub records: Vec<Record>,
    /// Number of failed attempts.
    pub failures: u32,
}

/// The outcome of an invocation with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    Success,
    /// The records before this index succeeded.
    FailedFrom(usize),
    /// The whole batch failed, or its outcome is unknown.
    Failed,
}

/// The records of a batch that are not delivered again.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscardedDelivery {
    /// `RetryAttemptsExhausted` or `RecordAgeExceeded`.
    pub condition: &'static str,
    pub delivery: Delivery,
}

impl Delivery {
    /// The event of the invocation.
    pub fn event(&self) -> Value {
        json!({ "Records": self.records.iter().map(|record| &record.json).collect::<Vec<_>>() })
    }
}

/// The most bytes of a batch. The limit of an invocation is 6 MB, and the JSON around the records needs a part of it.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Takes the next batch from `records`: at most `size` records and `MAX_BYTES`, but at least one record.
pub fn take_batch(records: &mut VecDeque<Record>, size: usize) -> Delivery {
    let mut bytes = 0;
    let fits = |record: &&Record| {
        bytes += record.bytes;
        bytes <= MAX_BYTES
    };
    let number = records.iter().take(size.max(1)).take_while(fits).count().max(1).min(records.len());
    Delivery { records: records.drain(..number).collect(), failures: 0 }
}

/// The sequence number as a number, for comparison.
pub fn sequence_position(sequence_number: &str) -> u128 {
    sequence_number.parse().unwrap_or_default()
}

/// Discards the records of a batch that are too old to be delivered. Returns the rest of the batch, if any.
pub fn discard_expired(
    definition: &MappingDefinition,
    mut delivery: Delivery,
    now: Timestamp,
) -> (Option<Delivery>, Option<DiscardedDelivery>) {
    let expired = delivery.records.iter().take_while(|record| is_too_old(definition, record, now)).count();
    let fresh = delivery.records.split_off(expired);
    let rest = Delivery { records: fresh, failures: delivery.failures };
    let discarded = (expired > 0).then(|| DiscardedDelivery::new("RecordAgeExceeded", delivery));
    (Some(rest).filter(|rest| !rest.records.is_empty()), discarded)
}

fn is_too_old(definition: &MappingDefinition, record: &Record, now: Timestamp) -> bool {
    let age = Duration::try_from(now.duration_since(record.arrived_at)).unwrap_or_default();
    definition.max_age.is_some_and(|max_age| age > max_age)
}

/// The outcome in a function's response.
///
/// With `reports_failures`, the batch failed from the lowest sequence number in `batchItemFailures` on. An identifier
/// that is null, empty or not in the batch fails the whole batch.
pub fn outcome(response: &Value, delivery: &Delivery, reports_failures: bool) -> BatchOutcome {
    let failures = response.get("batchItemFailures").and_then(Value::as_array);
    let Some(failures) = failures.filter(|failures| reports_failures && !failures.is_empty()) else {
        return BatchOutcome::Success;
    };
    let index = |failure: &Value| {
        let identifier = failure.get("itemIdentifier")?.as_str()?;
        delivery.records.iter().position(|record| record.sequence_number == identifier)
    };
    match failures.iter().map(index).collect::<Option<Vec<usize>>>() {
        Some(indexes) => indexes.into_iter().min().map_or(BatchOutcome::Failed, BatchOutcome::FailedFrom),
        None => BatchOutcome::Failed,
    }
}

/// Returns the batches to deliver next in place of a batch with this outcome, and the records to discard.
pub fn retry_or_discard(
    definition: &MappingDefinition,
    delivery: Delivery,
    outcome: BatchOutcome,
    now: Timestamp,
) -> (Vec<Delivery>, Option<DiscardedDelivery>) {
    let Delivery { mut records, failures } = delivery;
    let succeeded = match outcome {
        BatchOutcome::Success => return (Vec::new(), None),
        BatchOutcome::FailedFrom(index) => index,
        BatchOutcome::Failed => 0,
    };
    records.drain(..succeeded.min(records.len()));
    let splits = definition.bisects && outcome == BatchOutcome::Failed && records.len() > 1;
    // On Lambda, a split does not consume a retry.
    let failures = if splits { failures } else { failures + 1 };
    let condition = match records.first() {
        None => return (Vec::new(), None),
        Some(first) if is_too_old(definition, first, now) => "RecordAgeExceeded",
        Some(_) if definition.retries.is_some_and(|retries| failures > retries) => "RetryAttemptsExhausted",
        Some(_) if splits => {
            let second = records.split_off(records.len() / 2);
            return ([records, second].map(|records| Delivery { records, failures }).into(), None);
        }
        Some(_) => return (vec![Delivery { records, failures }], None),
    };
    (Vec::new(), Some(DiscardedDelivery::new(condition, Delivery { records, failures })))
}

impl DiscardedDelivery {
    fn new(condition: &'static str, delivery: Delivery) -> Self {
        Self { condition, delivery }
    }

    /// The message for the on-failure destination. It names the position in the stream, and contains no record.
    pub fn message(&self, stream_arn: &str, shard: usize) -> Value {
        let (first, last) = (self.delivery.records.first(), self.delivery.records.last());
        json!({
            "requestContext": {
                "requestId": "local",
                "functionArn": "local",
                "condition": self.condition,
                "approximateInvokeCount": self.delivery.failures,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": last.map(|record| record.arrived_at.to_string()),
            "DDBStreamBatchInfo": {
                "shardId": format!("shardId-{shard:020}"),
                "startSequenceNumber": first.map(|record| &record.sequence_number),
                "endSequenceNumber": last.map(|record| &record.sequence_number),
                "approximateArrivalOfFirstRecord": first.map(|record| record.arrived_at.to_string()),
                "approximateArrivalOfLastRecord": last.map(|record| record.arrived_at.to_string()),
                "batchSize": self.delivery.records.len(),
                "streamArn": stream_arn,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: std::ops::Range<usize>) -> Delivery {
        let record = |number: usize| Record {
            sequence_number: number.to_string(),
            arrived_at: Timestamp::UNIX_EPOCH,
            partition_key: number.to_string(),
            bytes: 1000,
            json: json!({}),
        };
        Delivery { records: records.map(record).collect(), failures: 0 }
    }

    fn definition() -> MappingDefinition {
        MappingDefinition {
            table: "events".to_owned(),
            batch_size: 10,
            window: Duration::ZERO,
            reports_failures: true,
            bisects: false,
            retries: Some(2),
            max_age: Some(Duration::from_secs(60)),
            parallelization: 1,
        }
    }

    fn failing(identifiers: &[Value]) -> Value {
        let failures: Vec<_> = identifiers.iter().map(|identifier| json!({ "itemIdentifier": identifier })).collect();
        json!({ "batchItemFailures": failures })
    }

    #[test]
    fn a_batch_fails_from_the_lowest_reported_sequence_number_on() {
        let outcome_of = |response: Value| outcome(&response, &batch(0..10), true);
        assert_eq!(outcome_of(failing(&[json!("7"), json!("3")])), BatchOutcome::FailedFrom(3));
        for success in
            [json!({}), json!(null), json!({ "batchItemFailures": [] }), json!({ "batchItemFailures": null })]
        {
            assert_eq!(outcome_of(success), BatchOutcome::Success);
        }
    }

    #[test]
    fn an_invalid_identifier_fails_the_whole_batch() {
        for identifier in [json!(null), json!(""), json!("99"), json!(3)] {
            assert_eq!(outcome(&failing(&[json!("7"), identifier]), &batch(0..10), true), BatchOutcome::Failed);
        }
        let misnamed = json!({ "batchItemFailures": [{ "id": "3" }] });
        assert_eq!(outcome(&misnamed, &batch(0..10), true), BatchOutcome::Failed);
    }

    #[test]
    fn reported_failures_are_ignored_unless_the_mapping_enables_them() {
        assert_eq!(outcome(&failing(&[json!("3")]), &batch(0..10), false), BatchOutcome::Success);
    }

    #[test]
    fn the_failed_record_and_all_later_ones_are_delivered_again() {
        let (next, discarded) =
            retry_or_discard(&definition(), batch(0..10), BatchOutcome::FailedFrom(3), Timestamp::UNIX_EPOCH);
        assert_eq!((next, discarded), (vec![Delivery { failures: 1, ..batch(3..10) }], None));
    }

    #[test]
    fn a_split_does_not_consume_a_retry() {
        let bisecting = MappingDefinition { bisects: true, ..definition() };
        let (next, _) = retry_or_discard(&bisecting, batch(0..10), BatchOutcome::Failed, Timestamp::UNIX_EPOCH);
        assert_eq!(next, [batch(0..5), batch(5..10)]);
        let (next, _) = retry_or_discard(&bisecting, batch(0..1), BatchOutcome::Failed, Timestamp::UNIX_EPOCH);
        assert_eq!(next, [Delivery { failures: 1, ..batch(0..1) }]);
    }

    #[test]
    fn a_batch_is_discarded_after_its_last_retry() {
        let last_attempt = Delivery { failures: 2, ..batch(0..10) };
        let (next, discarded) =
            retry_or_discard(&definition(), last_attempt, BatchOutcome::FailedFrom(4), Timestamp::UNIX_EPOCH);
        let discarded = discarded.unwrap();
        assert_eq!(
            (next.len(), discarded.condition, discarded.delivery.records.len()),
            (0, "RetryAttemptsExhausted", 6)
        );
    }

    #[test]
    fn a_batch_is_discarded_when_it_is_too_old() {
        let later = Timestamp::from_second(61).unwrap();
        let (_, discarded) = retry_or_discard(&definition(), batch(0..10), BatchOutcome::Failed, later);
        assert_eq!(discarded.unwrap().condition, "RecordAgeExceeded");
    }

    #[test]
    fn records_that_are_too_old_are_discarded_before_delivery() {
        let later = Timestamp::from_second(61).unwrap();
        let mut mixed = batch(0..10);
        mixed.records[3..].iter_mut().for_each(|record| record.arrived_at = later);
        let (rest, discarded) = discard_expired(&definition(), mixed, later);
        let (rest, discarded) = (rest.unwrap(), discarded.unwrap());
        assert_eq!(
            (rest.records.len(), discarded.delivery.records.len(), discarded.condition),
            (7, 3, "RecordAgeExceeded")
        );
        assert_eq!(discard_expired(&definition(), batch(0..10), Timestamp::UNIX_EPOCH), (Some(batch(0..10)), None));
    }

    #[test]
    fn batches_have_at_most_the_configured_number_of_records() {
        let mut records = VecDeque::from(batch(0..25).records);
        let lengths = [(); 3].map(|()| take_batch(&mut records, 10).records.len());
        assert_eq!((lengths, records.len()), ([10, 10, 5], 0));
    }

    #[test]
    fn a_batch_fits_into_an_invocation() {
        let mut records = VecDeque::from(batch(0..10).records);
        records.iter_mut().for_each(|record| record.bytes = 1024 * 1024);
        assert_eq!(take_batch(&mut records, 10).records.len(), 4);
        records.iter_mut().for_each(|record| record.bytes = 10 * 1024 * 1024);
        assert_eq!(take_batch(&mut records, 10).records.len(), 1);
    }

    #[test]
    fn the_on_failure_message_names_positions_and_no_data() {
        let discarded = DiscardedDelivery::new("RetryAttemptsExhausted", Delivery { failures: 3, ..batch(4..9) });
        let message = discarded.message("arn", 2);
        let info = &message["DDBStreamBatchInfo"];
        assert_eq!((&info["startSequenceNumber"], &info["endSequenceNumber"]), (&json!("4"), &json!("8")));
        assert_eq!((&info["batchSize"], &info["shardId"]), (&json!(5), &json!("shardId-00000000000000000002")));
        assert_eq!(message["requestContext"]["condition"], "RetryAttemptsExhausted");
    }
}
