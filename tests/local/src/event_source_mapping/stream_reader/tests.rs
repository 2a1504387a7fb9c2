//! Where a shard is begun.

use aws_sdk_dynamodbstreams::types::SequenceNumberRange;

use super::*;

fn begun(start: &str, end: Option<&str>, position: Option<&str>) -> Option<String> {
    let range = SequenceNumberRange::builder().starting_sequence_number(start);
    let range = range.set_ending_sequence_number(end.map(str::to_owned)).build();
    ShardReader::begin(&Shard::builder().sequence_number_range(range).build(), position).read_to
}

#[test]
fn a_shard_is_begun_after_the_position_or_at_its_start_if_that_comes_later() {
    assert_eq!(begun("100", None, None), None);
    assert_eq!(begun("100", None, Some("99")), None, "the position is in a shard before");
    assert_eq!(begun("100", None, Some("100")).as_deref(), Some("100"));
    assert_eq!(begun("100", None, Some("0200")).as_deref(), Some("0200"));
}

#[test]
fn a_shard_that_is_all_before_the_position_is_begun_at_its_end() {
    assert_eq!(begun("100", Some("150"), Some("200")).as_deref(), Some("150"));
    assert_eq!(begun("100", Some("150"), Some("120")).as_deref(), Some("120"));
    assert_eq!(begun("100", Some("150"), Some("99")), None);
}
