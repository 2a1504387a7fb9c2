//! Generations of counters: a rebuild counts all views into the next generation, while queries read the served one.
//!
//! One item of the table beside the counters stores the active generations:
//!
//! | attribute | value |
//! |---|---|
//! | `shard` (partition key), `row` (sort key) | `generations` |
//! | `serving` | the generation that queries read |
//! | `building`, `since` | the generation that a rebuild fills, and the time at which it began |
//! | `latest` | the highest generation so far |
//!
//! Without the item, generation 1 is served and none is built. Every write of a view changes the counters of all active
//! generations, and the view's [`Bookkeeping`] has an entry for each. A generation that is neither served nor built
//! stays in the table unchanged.
//!
//! A process reads the item at most once in [`MAX_AGE`], so a writer may not know a new generation yet. A rebuild waits
//! for [`PROPAGATION`] before it visits the first view. The rebuild counts each view that was written before the wait
//! ended. The writer counts each later view. A writer that takes longer, such as a page of another rebuild, may leave a
//! view uncounted; then the generation is not served, or the next verification finds the view.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display},
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use cqrs::{Projection, ReadModel};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_dynamo::{from_item, to_item};

use crate::{
    Bookkeeping, CountersTable, StoreError,
    call::ConditionalWrite,
    counters::key,
    item::{Item, number},
};

/// The maximum age of the cached generations of a process.
pub const MAX_AGE: SignedDuration = SignedDuration::from_secs(5);
/// The time after which every writer knows a new generation: [`MAX_AGE`], the longest invocation of the projector (60
/// seconds in the template), and a reserve.
pub const PROPAGATION: SignedDuration = SignedDuration::from_secs(75);

/// The key of the item that stores the active generations.
const STATE: &str = "generations";
const SERVING: &str = "serving";
const BUILDING: &str = "building";
const LATEST: &str = "latest";
/// The number of attempts to change the active generations while other operators change them.
const ATTEMPTS: u32 = 5;

/// The number of a generation: 1, or the time at which its rebuild began, in seconds since 1970.
///
/// So no number is used twice, even if the table is lost while views have entries of its generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(u32);

/// The active generations of a table of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    /// The generation that queries read.
    pub serving: Generation,
    /// The generation that a rebuild fills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub building: Option<Generation>,
    /// The time at which the rebuild began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    pub(crate) latest: Generation,
}

/// A table of counters, or a tally, in one generation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InGeneration {
    pub name: String,
    pub generation: Generation,
}

/// The generations that a write of a view must keep correct, by table of counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MaintainedGenerations(BTreeMap<String, BTreeSet<Generation>>);

/// The generations that a process has read, by table, with the time of the read.
pub(crate) type GenerationsCache = Arc<Mutex<BTreeMap<Arc<str>, (Timestamp, Generations)>>>;

impl Generation {
    pub const FIRST: Self = Self(1);

    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl InGeneration {
    pub fn new(name: impl Into<String>, generation: Generation) -> Self {
        Self { name: name.into(), generation }
    }
}

impl Display for InGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, generation } = self;
        write!(f, "{name} of generation {generation}")
    }
}

impl Generations {
    /// The generations of a table without a stored state.
    pub const FIRST: Self = Self { serving: Generation::FIRST, building: None, since: None, latest: Generation::FIRST };

    /// Iterates over the generations that writers keep correct.
    pub fn active(&self) -> impl Iterator<Item = Generation> {
        [self.serving].into_iter().chain(self.building)
    }

    /// Returns the generations that a write must keep correct for a view with entries in the generations `stored`.
    ///
    /// These may be newer than the process knows. Then the write keeps the newer ones correct, too, and adds nothing to
    /// a served generation that the newer ones have replaced.
    fn maintained(&self, stored: &BTreeSet<Generation>) -> BTreeSet<Generation> {
        let newer = stored.iter().copied().filter(|generation| *generation > self.latest);
        let mut maintained: BTreeSet<Generation> = self.active().chain(newer).collect();
        if stored.first().is_some_and(|oldest| *oldest > self.serving) {
            maintained.remove(&self.serving);
        }
        maintained
    }
}

impl MaintainedGenerations {
    /// Returns the maintained generations of all tables of counters of `model`, for a view with this bookkeeping.
    /// `known` returns the active generations of a table.
    pub(crate) fn of<P: Projection>(
        model: &ReadModel<P>,
        bookkeeping: &Bookkeeping,
        known: impl Fn(&str) -> Generations,
    ) -> Self {
        let tables = model.counters_tables().into_iter();
        let maintained = tables.map(|table| {
            let stored = bookkeeping.generations(model, table);
            (table.to_owned(), known(table).maintained(&stored))
        });
        Self(maintained.collect())
    }

    /// Returns the generations that the bookkeeping has entries for, by table.
    pub(crate) fn stored<P: Projection>(model: &ReadModel<P>, bookkeeping: &Bookkeeping) -> Self {
        let tables = model.counters_tables().into_iter();
        Self(tables.map(|table| (table.to_owned(), bookkeeping.generations(model, table))).collect())
    }

    /// Returns one generation of each table of counters, if `generation` returns it.
    pub(crate) fn only<P: Projection>(model: &ReadModel<P>, generation: impl Fn(&str) -> Option<Generation>) -> Self {
        let tables = model.counters_tables().into_iter();
        Self(tables.map(|table| (table.to_owned(), generation(table).into_iter().collect())).collect())
    }

    /// Returns the first generation of all tables.
    #[cfg(test)]
    pub(crate) fn first<P: Projection>(model: &ReadModel<P>) -> Self {
        Self::of(model, &Bookkeeping::default(), |_| Generations::FIRST)
    }

    /// Iterates over the maintained generations of a table.
    pub(crate) fn of_table(&self, table: &str) -> impl Iterator<Item = Generation> {
        self.0.get(table).into_iter().flatten().copied()
    }
}

impl CountersTable {
    /// Returns the active generations, at most [`MAX_AGE`] old. Costs one read unit, at most once in [`MAX_AGE`] per
    /// process.
    ///
    /// # Errors
    /// [`StoreError`] of the read.
    pub async fn generations(&self) -> Result<Generations, StoreError> {
        let now = self.dynamo().environment.now();
        let cached = self.cache(|cache| cache.get(self.table()).copied());
        // A clock that went back makes the knowledge old.
        let is_fresh = |read_at: Timestamp| (SignedDuration::ZERO..=MAX_AGE).contains(&now.duration_since(read_at));
        match cached.filter(|(read_at, _)| is_fresh(*read_at)) {
            Some((_, generations)) => Ok(generations),
            None => Ok(self.read_generations().await?.unwrap_or(Generations::FIRST)),
        }
    }

    /// Begins to build the next generation, or continues with the one that is being built. Returns the active
    /// generations. Safe to repeat and to run concurrently.
    ///
    /// # Errors
    /// [`StoreError`] of a call.
    pub async fn begin_generation(&self) -> Result<Generations, StoreError> {
        let now = self.dynamo().environment.now();
        self.change_generations(|before| match before.building {
            Some(_) => before,
            None => {
                let seconds = u32::try_from(now.as_second()).unwrap_or_default();
                let next = Generation(seconds.max(before.latest.0.saturating_add(1)));
                Generations { building: Some(next), since: Some(now), latest: next, ..before }
            }
        })
        .await
    }

    /// Serves `generation`, if it is the one that is being built. Otherwise changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] of a call.
    pub async fn serve_generation(&self, generation: Generation) -> Result<Generations, StoreError> {
        self.change_generations(|before| match before.building == Some(generation) {
            true => Generations { serving: generation, building: None, since: None, ..before },
            false => before,
        })
        .await
    }

    /// Stops building `generation`, if it is the one that is being built. The next one gets a new number.
    ///
    /// # Errors
    /// [`StoreError`] of a call.
    pub async fn abandon_generation(&self, generation: Generation) -> Result<Generations, StoreError> {
        self.change_generations(|before| match before.building == Some(generation) {
            true => Generations { building: None, since: None, ..before },
            false => before,
        })
        .await
    }

    async fn change_generations(&self, change: impl Fn(Generations) -> Generations) -> Result<Generations, StoreError> {
        for attempt in 1..=ATTEMPTS {
            let stored = self.read_generations().await?;
            let before = stored.unwrap_or(Generations::FIRST);
            let after = change(before);
            if after == before || self.replace_generations(stored.as_ref(), &after).await? {
                self.remember(after);
                return Ok(after);
            }
            self.dynamo().back_off(attempt).await;
        }
        Err(StoreError::Unavailable("the generations of the counters change concurrently".into()))
    }

    /// Writes the generations, if they still are `before`. Returns whether they were.
    async fn replace_generations(&self, before: Option<&Generations>, after: &Generations) -> Result<bool, StoreError> {
        let mut item: Item = to_item(after).map_err(StoreError::bug)?;
        item.extend(key(STATE, STATE));
        let put = self.dynamo().client.put_item().table_name(self.table()).set_item(Some(item));
        let put = match before {
            None => {
                put.condition_expression("attribute_not_exists(#latest)").expression_attribute_names("#latest", LATEST)
            }
            Some(before) => {
                let put = put
                    .expression_attribute_names("#latest", LATEST)
                    .expression_attribute_names("#serving", SERVING)
                    .expression_attribute_names("#building", BUILDING)
                    .expression_attribute_values(":latest", number(before.latest))
                    .expression_attribute_values(":serving", number(before.serving));
                let unchanged = "#latest = :latest AND #serving = :serving AND ";
                match before.building {
                    Some(building) => put
                        .condition_expression(format!("{unchanged}#building = :building"))
                        .expression_attribute_values(":building", number(building)),
                    None => put.condition_expression(format!("{unchanged}attribute_not_exists(#building)")),
                }
            }
        };
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::None);
        Ok(matches!(self.dynamo().write_conditionally(put).await?, ConditionalWrite::Written))
    }

    /// Reads the stored generations, or `None` if the table has no state. Strongly consistent: an older state could be
    /// one without the served generation.
    async fn read_generations(&self) -> Result<Option<Generations>, StoreError> {
        let get = self.dynamo().client.get_item().table_name(self.table()).set_key(Some(key(STATE, STATE)));
        let item = self.dynamo().read(get.consistent_read(true)).await?.item;
        let stored: Option<Generations> = item.map(from_item).transpose().map_err(StoreError::bug)?;
        self.remember(stored.unwrap_or(Generations::FIRST));
        Ok(stored)
    }

    fn remember(&self, generations: Generations) {
        let now = self.dynamo().environment.now();
        self.cache(|cache| cache.insert(self.table().into(), (now, generations)));
    }

    fn cache<T>(&self, access: impl FnOnce(&mut BTreeMap<Arc<str>, (Timestamp, Generations)>) -> T) -> T {
        access(&mut self.dynamo().generations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generations(serving: u32, building: Option<u32>, latest: u32) -> Generations {
        let building = building.map(Generation);
        Generations { serving: Generation(serving), building, since: None, latest: Generation(latest) }
    }

    #[test]
    fn a_write_maintains_the_active_generations_and_newer_ones_of_the_view() {
        for (known, stored, maintained) in [
            (generations(1, None, 1), vec![], vec![1]),
            (generations(1, Some(2), 2), vec![], vec![1, 2]),
            (generations(1, Some(2), 2), vec![1], vec![1, 2]),
            // The process does not know yet that generation 2 is built, or that it is served.
            (generations(1, None, 1), vec![1, 2], vec![1, 2]),
            (generations(1, None, 1), vec![2], vec![2]),
            (generations(1, None, 1), vec![2, 3], vec![2, 3]),
            // Generation 1 was replaced, or generation 2 was abandoned.
            (generations(2, None, 2), vec![1], vec![2]),
            (generations(2, None, 2), vec![1, 2], vec![2]),
            (generations(1, Some(3), 3), vec![1, 2], vec![1, 3]),
        ] {
            let stored: BTreeSet<_> = stored.into_iter().map(Generation).collect();
            let expected: BTreeSet<_> = maintained.into_iter().map(Generation).collect();
            assert_eq!(known.maintained(&stored), expected, "{known:?} {stored:?}");
        }
    }
}
