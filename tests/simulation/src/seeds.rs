//! Many seeds, on all cores: a run has one thread, but runs know nothing of each other.

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::{InvariantViolation, Mutation, run};

/// What all runs came to.
#[derive(Debug, Default)]
pub struct SeedsReport {
    /// How many runs there were.
    pub seeds: u64,
    /// How many calls and outcomes.
    pub steps: u64,
    /// How many commits.
    pub commits: usize,
    /// What went wrong how often, by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

/// Runs so many seeds, beginning with `from`; `progress` is reply of each that is done.
///
/// # Errors
/// The violation of the lowest seed that has one.
pub fn run_seeds(
    from: u64,
    seeds: u64,
    mutation: Option<Mutation>,
    progress: impl Fn() + Sync,
) -> Result<SeedsReport, Box<InvariantViolation>> {
    let (next, failed) = (AtomicU64::new(from), AtomicBool::new(false));
    let total = Mutex::new(SeedsReport::default());
    let violations = Mutex::new(Vec::new());
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            // Seeds are given out in ascending order, so all that are lower than one that fails come to their end.
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds {
                break;
            }
            match run(seed, mutation) {
                Ok(done) => {
                    let mut total = total.lock().unwrap();
                    total.seeds += 1;
                    total.steps += done.steps;
                    total.commits += done.commits;
                    done.faults.into_iter().for_each(|(what, times)| *total.faults.entry(what).or_default() += times);
                }
                Err(violation) => {
                    failed.store(true, Ordering::Relaxed);
                    violations.lock().unwrap().push(violation);
                }
            }
            progress();
        }
    };
    thread::scope(|scope| {
        (0..thread::available_parallelism().map_or(1, NonZero::get)).for_each(|_| drop(scope.spawn(work)));
    });
    match violations.into_inner().unwrap().into_iter().min_by_key(|violation| violation.seed) {
        Some(violation) => Err(violation),
        None => Ok(total.into_inner().unwrap()),
    }
}
