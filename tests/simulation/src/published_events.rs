//! The events on the bus, and a consumer by the recipe of `docs/events.md`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use check::consumer::{Consumer, Receipt};
use cqrs::{Projection, PublicRecord, Publication, Published, StoredCommit};
use local::messaging::Messaging;
use orders::{OrderPublication, ShippingReminders};
use serde_json::Value;

use crate::{domain, seeded_random::SeededRandom};

/// The public events that were put on the bus, in the order of their arrival.
#[derive(Clone, Default)]
pub struct PublishedEvents(Arc<Mutex<Vec<Value>>>);

impl PublishedEvents {
    /// Records the events of this bus from now on.
    pub fn of(messaging: &Messaging) -> Self {
        let published = Self::default();
        let events = published.clone();
        messaging.on_event(move |_, event| events.0.lock().unwrap().push(event["detail"].clone()));
        published
    }

    /// Checks I12: a consumer that receives the events in any order, some of them several times, applies each public
    /// event of these streams once and in order.
    ///
    /// # Errors
    /// Fails with the violated invariant.
    pub fn check(&self, streams: &[Vec<StoredCommit>], random: &SeededRandom) -> Result<(), String> {
        let mut expected = BTreeMap::new();
        for commits in streams {
            let Some(first) = commits.first() else { continue };
            let ids = match first.stream.category() {
                domain::CATEGORY => public_ids::<OrderPublication>(commits),
                _ => public_ids::<ShippingReminders>(commits),
            };
            let ids = ids.map_err(|error| format!("I12: {error}"))?;
            if !ids.is_empty() {
                expected.insert(first.stream.to_string(), ids);
            }
        }
        let applied = self.consume(random)?;
        match expected.iter().find(|(stream, ids)| applied.get(*stream) != Some(ids)) {
            None => Ok(()),
            Some((stream, ids)) => {
                Err(format!("I12: a consumer applies {:?} of {stream}, not {ids:?}", applied.get(stream)))
            }
        }
    }

    /// Delivers all events to a consumer, until it waits for none. Returns the ids of the applied events by subject.
    fn consume(&self, random: &SeededRandom) -> Result<BTreeMap<String, Vec<String>>, String> {
        let mut queue = self.0.lock().unwrap().clone();
        let repeats: Vec<Value> = queue.iter().filter(|_| random.happens(200)).cloned().collect();
        queue.extend(repeats);
        let (mut consumer, mut applied) = (Consumer::default(), BTreeMap::<String, Vec<String>>::new());
        // Each round delivers one message at a random place, as EventBridge promises no order.
        let mut too_early = 0;
        while !queue.is_empty() && too_early < 50 * queue.len() {
            let message = queue.swap_remove(random.below(queue.len() as u64) as usize);
            match consumer.receive(&message).map_err(|error| format!("I12: {error}"))? {
                Receipt::Applied => {
                    let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
                    applied.entry(text("subject")).or_default().push(text("id"));
                    too_early = 0;
                }
                Receipt::Duplicate => {}
                Receipt::TooEarly => {
                    too_early += 1;
                    queue.push(message);
                }
            }
        }
        Ok(applied)
    }
}

/// Returns the ids of the public events of a stream, in order.
fn public_ids<P: Publication>(commits: &[StoredCommit]) -> Result<Vec<String>, String> {
    let (mut ids, mut last) = (Vec::new(), None);
    for commit in commits {
        let commit = commit.clone().decode().map_err(|error| error.to_string())?;
        let records = PublicRecord::of::<P>(last.as_ref(), &commit).map_err(|error| error.to_string())?;
        ids.extend(records.into_iter().map(|record| record.id));
        last = Published::<P>::fold(last, [&commit]);
    }
    Ok(ids)
}
