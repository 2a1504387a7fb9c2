//! The read model of pending timers: what an operator lists, and what a sweep finds overdue.

use std::{collections::BTreeMap, marker::PhantomData};

use serde::{Deserialize, Serialize};

use super::{Process, ProcessEvent, ProcessFact, TimerFact};
use crate::{Index, Projection, Recorded, Time, identity::digest};

/// The number of lists into which the index by due time is divided.
///
/// One list would be one partition of the index, which DynamoDB limits to 1,000 write units a second (Amazon DynamoDB
/// Developer Guide, "Best practices for designing and using partition keys effectively"). A sweep reads all lists.
pub const BUCKETS: u8 = 4;

/// Folds the stream of an instance into its pending timers. An instance without a pending timer has no view, so the
/// index has only those that a sweep may have to visit.
pub struct PendingTimers<P>(PhantomData<fn() -> P>);

/// The pending timers of one instance; at least one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimersOfInstance {
    /// The key of the source stream.
    pub instance: String,
    /// The list of the index that has this instance.
    pub bucket: String,
    /// The time of the earliest timer.
    pub due: Time,
    /// The timers by name.
    pub timers: BTreeMap<String, Time>,
}

impl<P: Process> PendingTimers<P> {
    /// The instances by the time of their earliest timer.
    pub const BY_DUE: Index = Index { name: "by-due", partition: &["bucket"], sort: &["due"], shows: &[] };
}

impl<P: Process> Projection for PendingTimers<P> {
    type Event = ProcessEvent<P>;
    type View = TimersOfInstance;

    const NAME: &'static str = P::TIMERS;
    const KEY: &'static str = "instance";
    const SCHEMA: u32 = 1;
    const INDEXES: &'static [Index] = &[Self::BY_DUE];

    fn evolve(view: Option<TimersOfInstance>, recorded: Recorded<'_, ProcessEvent<P>>) -> Option<TimersOfInstance> {
        let mut timers = view.map(|view| view.timers).unwrap_or_default();
        match &recorded.event.fact {
            ProcessFact::TimerSet(TimerFact { timer, due }) => {
                timers.insert(timer.clone(), (*due).into());
            }
            ProcessFact::TimerCancelled(TimerFact { timer, .. }) | ProcessFact::TimerFired(TimerFact { timer, .. }) => {
                timers.remove(timer);
            }
            ProcessFact::SourceFollowed(_) | ProcessFact::CommandSent(_) => {}
        }
        let due = timers.values().min().copied()?;
        let instance = recorded.stream.key().to_owned();
        Some(TimersOfInstance { bucket: bucket(&instance).to_string(), instance, due, timers })
    }
}

fn bucket(instance: &str) -> u8 {
    let [first, ..] = digest(&[instance]);
    first % BUCKETS
}
