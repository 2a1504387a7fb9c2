//! The consumer recipe of `docs/events.md`: applies each public event of a subject exactly once and in order, although
//! deliveries repeat and overtake each other. Pure; the tests and the simulation are its consumers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The result of receiving an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The event is the next one of its subject. Its effect and the state of the consumer are stored together.
    Applied,
    /// The event was applied before. Its message is deleted.
    Duplicate,
    /// An event before it is still missing. Its message stays in the queue.
    TooEarly,
}

/// A message that is not a public event in its envelope. It belongs into the dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a public event: {0}")]
pub struct InvalidEnvelope(String);

/// The state of a consumer: the last applied event of each subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumer {
    applied: BTreeMap<String, LastApplied>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LastApplied {
    id: String,
    place: Place,
}

/// The sequence and the index in the commit. Within a subject, events are ordered by it.
type Place = (u64, u64);

/// The attributes that the recipe needs.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    subject: String,
    sequence: String,
    previousid: Option<String>,
}

impl Consumer {
    /// Receives an event in its envelope. If the result is [`Receipt::Applied`], the consumer has moved past it.
    ///
    /// # Errors
    /// [`InvalidEnvelope`] if an attribute is missing or malformed. The state is unchanged.
    pub fn receive(&mut self, event: &Value) -> Result<Receipt, InvalidEnvelope> {
        let envelope = Envelope::deserialize(event).map_err(|error| InvalidEnvelope(error.to_string()))?;
        let place = envelope.place()?;
        let last = self.applied.get(&envelope.subject);
        if last.is_some_and(|last| place <= last.place) {
            return Ok(Receipt::Duplicate);
        }
        if envelope.previousid.as_ref() != last.map(|last| &last.id) {
            return Ok(Receipt::TooEarly);
        }
        self.applied.insert(envelope.subject, LastApplied { id: envelope.id, place });
        Ok(Receipt::Applied)
    }

    /// Forgets a subject, so that its events are applied anew from the first. A restore of the events table may replace
    /// the history of a subject.
    pub fn forget(&mut self, subject: &str) {
        self.applied.remove(subject);
    }
}

impl Envelope {
    fn place(&self) -> Result<Place, InvalidEnvelope> {
        let index = self.id.rsplit('/').next().and_then(|index| index.parse().ok());
        let place = self.sequence.parse().ok().zip(index);
        place.ok_or_else(|| InvalidEnvelope("its sequence or the index in its id is not a number".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};
    use serde_json::json;

    use super::*;

    /// The published events of one subject. `commits` has the number of events of each commit, of which every third is
    /// not public.
    fn published(subject: &str, commits: &[usize]) -> Vec<Value> {
        let places =
            (1_u64..).zip(commits).flat_map(|(version, events)| (0..*events).map(move |index| (version, index)));
        let public = places.enumerate().filter(|(number, _)| number % 3 != 1).map(|(_, place)| place);
        let mut previous = None;
        public
            .map(|(version, index)| {
                let id = format!("{subject}/{version}/{index}");
                json!({
                    "id": id, "subject": subject, "sequence": version.to_string(),
                    "previousid": previous.replace(id.clone()),
                })
            })
            .collect()
    }

    fn id(event: &Value) -> String {
        event["id"].as_str().unwrap().to_owned()
    }

    /// Delivers the messages of a queue until it is empty or nothing can be applied. Returns the ids of the applied
    /// events and the messages that are left.
    fn deliver(consumer: &mut Consumer, mut queue: Vec<Value>) -> (Vec<String>, Vec<Value>) {
        let mut applied = Vec::new();
        loop {
            let before = queue.len();
            queue.retain(|event| {
                let receipt = consumer.receive(event).unwrap();
                if receipt == Receipt::Applied {
                    applied.push(id(event));
                }
                receipt == Receipt::TooEarly
            });
            if queue.len() == before {
                return (applied, queue);
            }
        }
    }

    proptest! {
        #[test]
        fn shuffled_and_repeated_deliveries_are_applied_exactly_once_and_in_order(
            subjects in vec(vec(1_usize..4, 1..8), 1..4),
            // At these places the copies of the events are inserted into the queue.
            places in vec(any::<Index>(), 0..150),
        ) {
            let events: Vec<Vec<Value>> = subjects
                .iter()
                .enumerate()
                .map(|(number, commits)| published(&format!("parcel#{number}"), commits))
                .collect();
            let mut queue: Vec<Value> = Vec::new();
            let total: usize = events.iter().map(Vec::len).sum();
            let mut places = places.iter();
            for event in events.iter().flatten().cycle().take(total.max(places.len())) {
                let place = places.next().map_or(0, |place| place.index(queue.len() + 1));
                queue.insert(place, event.clone());
            }
            let (applied, left) = deliver(&mut Consumer::default(), queue);
            prop_assert_eq!(left, Vec::<Value>::new());
            for (number, events) in events.iter().enumerate() {
                let of_subject = |applied: &&String| applied.starts_with(&format!("parcel#{number}/"));
                let expected: Vec<String> = events.iter().map(id).collect();
                prop_assert_eq!(applied.iter().filter(of_subject).cloned().collect::<Vec<_>>(), expected);
            }
        }

        #[test]
        fn events_after_a_missing_one_wait_for_it(commits in vec(1_usize..4, 2..8), missing in any::<Index>()) {
            let mut events = published("parcel#1", &commits);
            let missing = events.remove(missing.index(events.len()));
            let is_before = |event: &Value| place(event) < place(&missing);
            let (before, after): (Vec<_>, Vec<_>) = events.into_iter().partition(is_before);
            let mut consumer = Consumer::default();
            let (applied, left) = deliver(&mut consumer, [after.clone(), before.clone()].concat());
            prop_assert_eq!(applied, before.iter().map(id).collect::<Vec<_>>());
            prop_assert_eq!(&left, &after);
            let (applied, left) = deliver(&mut consumer, [left, vec![missing.clone()]].concat());
            prop_assert_eq!(applied, [vec![missing], after].concat().iter().map(id).collect::<Vec<_>>());
            prop_assert_eq!(left, Vec::<Value>::new());
        }
    }

    fn place(event: &Value) -> Place {
        Envelope::deserialize(event).unwrap().place().unwrap()
    }

    #[test]
    fn a_republished_history_is_a_duplicate_until_its_subject_is_forgotten() {
        let events = published("parcel#1", &[1, 2, 3]);
        let mut consumer = Consumer::default();
        let all = events.iter().map(id).collect::<Vec<_>>();
        assert_eq!(deliver(&mut consumer, events.clone()), (all.clone(), vec![]));
        assert_eq!(deliver(&mut consumer, events.clone()), (vec![], vec![]));
        consumer.forget("parcel#1");
        assert_eq!(deliver(&mut consumer, events), (all, vec![]));
    }

    #[test]
    fn versions_and_indexes_are_ordered_as_numbers() {
        let mut consumer = Consumer::default();
        let events = published("parcel#1", &[12; 12]);
        let (applied, left) = deliver(&mut consumer, events.clone());
        assert_eq!((applied.len(), left), (events.len(), vec![]));
    }

    #[test]
    fn a_malformed_envelope_is_refused_and_changes_nothing() {
        let event = json!({ "id": "parcel#1/1/0", "subject": "parcel#1", "sequence": "1" });
        for (attribute, value) in [("id", json!("parcel#1")), ("sequence", json!(1)), ("subject", Value::Null)] {
            let mut malformed = event.clone();
            malformed[attribute] = value;
            let mut consumer = Consumer::default();
            assert!(consumer.receive(&malformed).is_err(), "{attribute}");
            assert_eq!(consumer, Consumer::default());
            assert_eq!(consumer.receive(&event), Ok(Receipt::Applied));
        }
    }
}
