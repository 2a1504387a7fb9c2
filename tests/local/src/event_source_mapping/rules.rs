//! What becomes of a batch (AWS Lambda Developer Guide, "Using Lambda with Amazon DynamoDB").

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::record::Record;
use crate::template::MappingDefinition;

/// A batch of records, to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The records, in the order of the stream.
    pub records: Vec<Record>,
    /// How often it has failed.
    pub failures: u32,
}

/// What the function did with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    /// It took all of it.
    Success,
    /// It took what comes before this place.
    FailedFrom(usize),
    /// It took nothing, as far as is known.
    Failed,
}

/// A batch that was given up.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscardedDelivery {
    /// Why: `RetryAttemptsExhausted` or `RecordAgeExceeded`.
    pub condition: &'static str,
    /// What is lost to the function.
    pub delivery: Delivery,
}

impl Delivery {
    /// The event that the function is invoked with.
    pub fn event(&self) -> Value {
        json!({ "Records": self.records.iter().map(|record| &record.json).collect::<Vec<_>>() })
    }
}

/// The most bytes of a batch: an invocation takes 6 MB, of which the wrapping of the records needs a part.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Takes the next batch from the records: at most `size` of them, and what an invocation can carry.
pub fn take_batch(records: &mut VecDeque<Record>, size: usize) -> Delivery {
    let mut bytes = 0;
    let fits = |record: &&Record| {
        bytes += record.bytes;
        bytes <= MAX_BYTES
    };
    let number = records.iter().take(size.max(1)).take_while(fits).count().max(1).min(records.len());
    Delivery { records: records.drain(..number).collect(), failures: 0 }
}

/// The place of a sequence number among others.
pub fn sequence_position(sequence_number: &str) -> u128 {
    sequence_number.parse().unwrap_or_default()
}

/// Before a batch is delivered: the records that have become too old are given up.
pub fn discard_expired(
    definition: &MappingDefinition,
    mut delivery: Delivery,
    now: Timestamp,
) -> (Option<Delivery>, Option<DiscardedDelivery>) {
    let old = delivery.records.iter().take_while(|record| is_too_old(definition, record, now)).count();
    let fresh = delivery.records.split_off(old);
    let rest = Delivery { records: fresh, failures: delivery.failures };
    let discarded = (old > 0).then(|| DiscardedDelivery::new("RecordAgeExceeded", delivery));
    (Some(rest).filter(|rest| !rest.records.is_empty()), discarded)
}

fn is_too_old(definition: &MappingDefinition, record: &Record, now: Timestamp) -> bool {
    let age = Duration::try_from(now.duration_since(record.arrived_at)).unwrap_or_default();
    definition.max_age.is_some_and(|max_age| age > max_age)
}

/// What an answer says. With `reports_failures`, the lowest sequence number in `batchItemFailures` is where the batch
/// failed; an identifier that is null, empty or not of the batch fails all of it.
pub fn outcome(answer: &Value, delivery: &Delivery, reports_failures: bool) -> BatchOutcome {
    let failures = answer.get("batchItemFailures").and_then(Value::as_array);
    let Some(failures) = failures.filter(|failures| reports_failures && !failures.is_empty()) else {
        return BatchOutcome::Success;
    };
    let place = |failure: &Value| {
        let identifier = failure.get("itemIdentifier")?.as_str()?;
        delivery.records.iter().position(|record| record.sequence_number == identifier)
    };
    match failures.iter().map(place).collect::<Option<Vec<usize>>>() {
        Some(places) => places.into_iter().min().map_or(BatchOutcome::Failed, BatchOutcome::FailedFrom),
        None => BatchOutcome::Failed,
    }
}

/// What is to be delivered next in place of a batch with this outcome, and what was given up.
pub fn retry_or_discard(
    definition: &MappingDefinition,
    delivery: Delivery,
    outcome: BatchOutcome,
    now: Timestamp,
) -> (Vec<Delivery>, Option<DiscardedDelivery>) {
    let Delivery { mut records, failures } = delivery;
    let taken = match outcome {
        BatchOutcome::Success => return (Vec::new(), None),
        BatchOutcome::FailedFrom(place) => place,
        BatchOutcome::Failed => 0,
    };
    records.drain(..taken.min(records.len()));
    let splits = definition.bisects && outcome == BatchOutcome::Failed && records.len() > 1;
    // A split does not consume a retry.
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

    /// What the on-failure destination is told: where the batch was in the stream, and nothing of what was in it.
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
    fn the_lowest_sequence_number_is_where_a_batch_failed() {
        let outcome_of = |answer: Value| outcome(&answer, &batch(0..10), true);
        assert_eq!(outcome_of(failing(&[json!("7"), json!("3")])), BatchOutcome::FailedFrom(3));
        for success in
            [json!({}), json!(null), json!({ "batchItemFailures": [] }), json!({ "batchItemFailures": null })]
        {
            assert_eq!(outcome_of(success), BatchOutcome::Success);
        }
    }

    #[test]
    fn an_identifier_that_is_none_fails_the_whole_batch() {
        for identifier in [json!(null), json!(""), json!("99"), json!(3)] {
            assert_eq!(outcome(&failing(&[json!("7"), identifier]), &batch(0..10), true), BatchOutcome::Failed);
        }
        let misnamed = json!({ "batchItemFailures": [{ "id": "3" }] });
        assert_eq!(outcome(&misnamed, &batch(0..10), true), BatchOutcome::Failed);
    }

    #[test]
    fn failures_that_the_mapping_does_not_ask_for_are_not_heard() {
        assert_eq!(outcome(&failing(&[json!("3")]), &batch(0..10), false), BatchOutcome::Success);
    }

    #[test]
    fn what_failed_and_all_after_it_comes_again() {
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
    fn a_batch_is_given_up_after_its_retries() {
        let worn = Delivery { failures: 2, ..batch(0..10) };
        let (next, discarded) =
            retry_or_discard(&definition(), worn, BatchOutcome::FailedFrom(4), Timestamp::UNIX_EPOCH);
        let discarded = discarded.unwrap();
        assert_eq!(
            (next.len(), discarded.condition, discarded.delivery.records.len()),
            (0, "RetryAttemptsExhausted", 6)
        );
    }

    #[test]
    fn a_batch_is_given_up_at_its_age() {
        let later = Timestamp::from_second(61).unwrap();
        let (_, discarded) = retry_or_discard(&definition(), batch(0..10), BatchOutcome::Failed, later);
        assert_eq!(discarded.unwrap().condition, "RecordAgeExceeded");
    }

    #[test]
    fn records_that_are_too_old_are_given_up_before_they_are_delivered() {
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
    fn records_are_cut_into_batches() {
        let mut records = VecDeque::from(batch(0..25).records);
        let lengths = [(); 3].map(|()| take_batch(&mut records, 10).records.len());
        assert_eq!((lengths, records.len()), ([10, 10, 5], 0));
    }

    #[test]
    fn a_batch_is_no_larger_than_an_invocation_carries() {
        let mut records = VecDeque::from(batch(0..10).records);
        records.iter_mut().for_each(|record| record.bytes = 1024 * 1024);
        assert_eq!(take_batch(&mut records, 10).records.len(), 4);
        records.iter_mut().for_each(|record| record.bytes = 10 * 1024 * 1024);
        assert_eq!(take_batch(&mut records, 10).records.len(), 1);
    }

    #[test]
    fn the_destination_is_told_where_and_not_what() {
        let discarded = DiscardedDelivery::new("RetryAttemptsExhausted", Delivery { failures: 3, ..batch(4..9) });
        let message = discarded.message("arn", 2);
        let info = &message["DDBStreamBatchInfo"];
        assert_eq!((&info["startSequenceNumber"], &info["endSequenceNumber"]), (&json!("4"), &json!("8")));
        assert_eq!((&info["batchSize"], &info["shardId"]), (&json!(5), &json!("shardId-00000000000000000002")));
        assert_eq!(message["requestContext"]["condition"], "RetryAttemptsExhausted");
    }
}
