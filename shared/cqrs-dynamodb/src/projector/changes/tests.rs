//! Steps and their instalments, with the sample domain.

use cqrs::{Position, ReadModel, StoredCommit};

use super::*;
use crate::{
    Generation,
    fold::fold,
    generations::MaintainedGenerations,
    sample::{Content, Fillings, Levels, LevelsByContent, filled},
};

fn in_first(name: &str) -> InGeneration {
    InGeneration::new(name, Generation::FIRST)
}

fn model() -> ReadModel<Levels> {
    ReadModel::new().rollup::<Content>().tally::<Fillings>().rows::<LevelsByContent>()
}

/// Returns the steps of the fold of `commits`, and the bookkeeping after them.
fn folded(before: &Bookkeeping, commits: Vec<StoredCommit>) -> (Vec<Step>, Bookkeeping) {
    let folded = fold(&model(), before, &MaintainedGenerations::first(&model()), Position::START, None, commits);
    let after = before.after(&model(), &MaintainedGenerations::first(&model()), &folded);
    (steps::<Levels>("a", before, &after, &folded).unwrap(), after)
}

fn contribution(row: usize) -> Step {
    Step::Contribution { table: in_first("dashboard"), delta: Counters::default().with(&row.to_string(), "n", 1) }
}

fn row(bytes: usize) -> Step {
    let put = Some(Item::from([("x".to_owned(), item::text("x".repeat(bytes - 1)))]));
    let write = RowWrite { table: "rows".to_owned(), key: Item::new(), put };
    Step::Row { key: RowKey::new("a", "b"), write, digest: None }
}

#[test]
fn the_steps_of_a_fold_lead_from_the_old_bookkeeping_to_the_new() {
    let (first, one) = folded(&Bookkeeping::default(), vec![filled(1, 5)]);
    let (second, two) = folded(&one, vec![filled(1, 5), filled(2, 7)]);
    // The tally has counted the first commit. The row of the old content is deleted.
    assert_eq!((first.len(), second.len()), (3, 1 + 1 + 2));
    let mut recorded = Bookkeeping::default();
    for step in first.iter().chain(&second) {
        step.record(&mut recorded);
    }
    assert_eq!(recorded, two);
    let changes = Changes::of(second);
    assert_eq!(changes.counters[&in_first("content")], Counters::default().with("all", "content", 7));
    assert_eq!(changes.counters[&in_first("fillings")], Counters::default().with("all", "fillings", 1));
    assert_eq!(changes.rows.iter().map(|row| row.put.is_some()).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn an_unchanged_fold_has_no_steps() {
    let (_, after) = folded(&Bookkeeping::default(), vec![filled(1, 5)]);
    assert_eq!(folded(&after, vec![filled(1, 5)]).0, []);
}

#[test]
fn entries_that_are_not_declared_stay() {
    let other = Bookkeeping {
        contribution: BTreeMap::from([(in_first("other"), Counters::default().with("a", "b", 1))]),
        counted: BTreeMap::from([(in_first("other-tally"), Version::new(3))]),
        rows: BTreeMap::from([("other-rows".to_owned(), BTreeMap::from([(RowKey::new("a", "b"), "00".to_owned())]))]),
    };
    let (steps, after) = folded(&other, vec![filled(1, 5)]);
    assert_eq!(steps.len(), 3);
    assert_eq!(after.contribution[&in_first("other")], other.contribution[&in_first("other")]);
    assert_eq!(
        (after.counted("other-tally", Generation::FIRST), &after.rows["other-rows"]),
        (Version::new(3), &other.rows["other-rows"])
    );
}

#[test]
fn a_transaction_takes_the_first_99_rows() {
    let steps: Vec<Step> = (0..250).map(contribution).collect();
    assert_eq!((fitting(&steps, 1), fitting(&steps[..99], 1)), (99, 99));
    let same_row: Vec<Step> = (0..250).map(|_| contribution(0)).collect();
    assert_eq!(fitting(&same_row, 1), 250, "one action per row of counters");
    let rows: Vec<Step> = (0..98).map(|_| row(10)).chain([contribution(0), contribution(0), row(10)]).collect();
    assert_eq!(fitting(&rows, 1), 100);
}

#[test]
fn a_transaction_takes_3_500_000_bytes_but_at_least_one_step() {
    let rows: Vec<Step> = (0..10).map(|_| row(400_000)).collect();
    assert_eq!(fitting(&rows, 400_000), 7);
    assert_eq!(fitting(&rows, 3_500_000), 1);
}

/// A tally counts a commit as a whole.
#[test]
fn an_instalment_never_splits_a_commit_of_a_tally() {
    let counts = |rows: usize| {
        let mut counts = Counters::default();
        (0..rows).for_each(|row| counts.add(&row.to_string(), "n", 1));
        counts
    };
    let tally = |version, rows| Step::Tally {
        tally: "fillings",
        version: Version::new(version),
        table: in_first(&format!("fillings of {version}")),
        counts: counts(rows),
    };
    let steps = [tally(1, 60), tally(2, 60), tally(3, 39)];
    assert_eq!((fitting(&steps, 1), fitting(&steps[1..], 1)), (1, 2));
}
