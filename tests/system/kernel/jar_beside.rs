//! The rollups, tallies and rows of the test aggregate.

use cqrs::{Counters, Domain, Projection, Published, ReadModel, ReadModels, Recorded, Rollup, RowKey, Rows, Tally};
use serde::{Deserialize, Serialize};

use super::jar::{Inventory, JarEvent, JarLevel, JarLevels, JarPublication, Visits};

/// The domain of jars with everything that its tests need.
pub struct JarDomain<const SCHEMA: u32>;

impl<const SCHEMA: u32> Domain for JarDomain<SCHEMA> {
    fn read_models<M: ReadModels>(models: M) -> M {
        models.add(levels::<SCHEMA>()).add(ReadModel::<Visits>::new())
    }

    fn publications<M: ReadModels>(models: M) -> M {
        models.add(ReadModel::<Published<JarPublication>>::publishing())
    }
}

/// The levels with all their rollups, tallies and rows.
pub fn levels<const SCHEMA: u32>() -> ReadModel<JarLevels<SCHEMA>> {
    ReadModel::new()
        .rollup::<Inventory<SCHEMA>>()
        .rollup::<Fullness<SCHEMA>>()
        .rollup::<Words<SCHEMA>>()
        .tally::<Fillings<SCHEMA>>()
        .tally::<WordsWritten<SCHEMA>>()
        .rows::<Labels<SCHEMA>>()
}

fn words(note: &str) -> impl Iterator<Item = &str> {
    note.split(',').filter(|word| !word.is_empty())
}

/// A note of `number` different words, the first of which has this number.
pub fn note(first: usize, number: usize) -> String {
    (first..first + number).map(|word| format!("word-{word},")).collect()
}

/// The number of empty jars, in the table of the inventory.
pub struct Fullness<const SCHEMA: u32>;

impl<const SCHEMA: u32> Rollup for Fullness<SCHEMA> {
    type Projection = JarLevels<SCHEMA>;

    const NAME: &'static str = "fullness";
    const TABLE: &'static str = "inventory";

    fn contribution(view: &JarLevel) -> Counters {
        Counters::default().with("all", "empty", i128::from(view.level == 0))
    }
}

/// The number of times that each word occurs in notes, in a table of its own.
pub struct Words<const SCHEMA: u32>;

impl<const SCHEMA: u32> Rollup for Words<SCHEMA> {
    type Projection = JarLevels<SCHEMA>;

    const NAME: &'static str = "words";

    fn contribution(view: &JarLevel) -> Counters {
        let mut counters = Counters::default();
        words(&view.note).for_each(|word| counters.add(word, "occurrences", 1));
        counters
    }
}

/// The number of fillings, in the table of the inventory.
pub struct Fillings<const SCHEMA: u32>;

impl<const SCHEMA: u32> Tally for Fillings<SCHEMA> {
    type Projection = JarLevels<SCHEMA>;

    const NAME: &'static str = "fillings";
    const TABLE: &'static str = "inventory";

    fn count(recorded: Recorded<'_, JarEvent>) -> Counters {
        match recorded.event {
            JarEvent::Filled { .. } => Counters::default().with("all", "fillings", 1),
            JarEvent::Emptied { .. } | JarEvent::Smashed {} => Counters::default(),
        }
    }
}

/// The number of times that each word was written, also into jars that are smashed by now. An event with words counts
/// in one row per word.
pub struct WordsWritten<const SCHEMA: u32>;

impl<const SCHEMA: u32> Tally for WordsWritten<SCHEMA> {
    type Projection = JarLevels<SCHEMA>;

    const NAME: &'static str = "words-written";

    fn count(recorded: Recorded<'_, JarEvent>) -> Counters {
        let mut counters = Counters::default();
        // Long notes are for the tests of rollups and rows.
        if let JarEvent::Filled { note, amount: 1 } = recorded.event {
            words(note).for_each(|word| counters.add(word, "written", 1));
        }
        counters
    }
}

/// The jars by the words of their notes.
pub struct Labels<const SCHEMA: u32>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    pub jar: String,
    pub is_empty: bool,
}

impl<const SCHEMA: u32> Rows for Labels<SCHEMA> {
    type Projection = JarLevels<SCHEMA>;
    type Row = Label;

    const NAME: &'static str = "labels";

    fn rows(view: &JarLevel) -> Vec<(RowKey, Label)> {
        let label = || Label { jar: view.jar.clone(), is_empty: view.level == 0 };
        words(&view.note).map(|word| (RowKey::new(word, "label"), label())).collect()
    }
}

/// A projection with the same name as another one.
pub struct OtherLevels;

impl Projection for OtherLevels {
    type Event = JarEvent;
    type View = JarLevel;

    const NAME: &'static str = JarLevels::<1>::NAME;
    const KEY: &'static str = "jar";
    const SCHEMA: u32 = 1;

    fn evolve(view: Option<JarLevel>, _: Recorded<'_, JarEvent>) -> Option<JarLevel> {
        view
    }
}
