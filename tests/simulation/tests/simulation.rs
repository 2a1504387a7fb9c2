//! The invariants hold under every seed, every run of a seed is identical, and a removed protection is noticed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print their results"
)]

use std::collections::BTreeSet;

use simulation::{Mutation, run, seeds::run_seeds};

/// The number of seeds in `cargo test`.
const SEEDS: u64 = 200;
/// The number of kinds of faults and reactions under these seeds.
const KINDS: usize = 69;

#[test]
fn the_invariants_hold_under_every_seed() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let (from, seeds) = seed.map_or((1, SEEDS), |seed| (seed, 1));
    match run_seeds(from, seeds, None, || {}) {
        Ok(total) if seeds == SEEDS => {
            let kinds: BTreeSet<_> = total.faults.keys().collect();
            assert_eq!(kinds.len(), KINDS, "{kinds:?}");
        }
        Ok(total) => println!("{total:?}"),
        Err(violation) => panic!("{violation}"),
    }
}

#[test]
fn every_run_of_a_seed_is_identical() {
    for seed in 1..=10 {
        assert_eq!(run(seed, None).unwrap(), run(seed, None).unwrap());
    }
    assert_ne!(run(1, None).unwrap().hash, run(2, None).unwrap().hash);
}

macro_rules! noticed {
    ($($name:ident: $mutation:ident within $seeds:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let violation = run_seeds(1, $seeds, Some(Mutation::$mutation), || {}).unwrap_err();
                println!("{:?} is noticed under {violation}", Mutation::$mutation);
            }
        )*
    };
}

noticed! {
    a_commit_that_overwrites_another_is_noticed: CommitCondition within 20;
    a_view_that_overwrites_a_later_one_is_noticed: ViewCondition within 20;
    a_view_without_its_contribution_is_noticed: Contribution within 20;
    counters_that_do_not_change_with_their_view_are_noticed: Counters within 20;
    a_stream_that_is_read_without_strong_consistency_is_noticed: ConsistentRead within 50;
}
