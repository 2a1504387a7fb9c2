//! The first position of a shard.

use aws_sdk_dynamodbstreams::types::SequenceNumberRange;

use super::*;

fn start_of(first: &str, end: Option<&str>, checkpoint: Option<&str>) -> Option<String> {
    let range = SequenceNumberRange::builder().starting_sequence_number(first);
    let range = range.set_ending_sequence_number(end.map(str::to_owned)).build();
    ShardReader::begin(&Shard::builder().sequence_number_range(range).build(), checkpoint).read_to
}

#[test]
fn a_shard_starts_after_the_checkpoint_but_not_before_its_own_start() {
    assert_eq!(start_of("100", None, None), None);
    assert_eq!(start_of("100", None, Some("99")), None, "the checkpoint is in an earlier shard");
    assert_eq!(start_of("100", None, Some("100")).as_deref(), Some("100"));
    assert_eq!(start_of("100", None, Some("0200")).as_deref(), Some("0200"));
}

#[test]
fn a_shard_before_the_checkpoint_starts_at_its_end() {
    assert_eq!(start_of("100", Some("150"), Some("200")).as_deref(), Some("150"));
    assert_eq!(start_of("100", Some("150"), Some("120")).as_deref(), Some("120"));
    assert_eq!(start_of("100", Some("150"), Some("99")), None);
}
