//! The invariants hold under every seed; a seed does the same in every run; and what is taken away is noticed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests fail loudly, and say what they saw")]

use std::collections::BTreeSet;

use simulation::{Mutation, run, seeds::run_seeds};

/// How many seeds there are in `cargo test`.
const SEEDS: u64 = 200;
/// How many kinds of trouble they meet, the projector's own among them.
const KINDS: usize = 37;

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
fn a_seed_does_the_same_in_every_run() {
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
    a_view_that_forgets_what_it_has_counted_is_noticed: Contribution within 20;
    sums_that_do_not_change_with_their_view_are_noticed: Counters within 20;
    a_stream_that_is_read_as_of_a_moment_ago_is_noticed: ConsistentRead within 50;
}
