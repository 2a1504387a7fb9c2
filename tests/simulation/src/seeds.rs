//! Runs of many seeds, on all cores. A run has one thread, and shares nothing with other runs.

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

/// The totals over all runs.
#[derive(Debug, Default)]
pub struct SeedsReport {
    pub seeds: u64,
    /// Number of calls and outcomes.
    pub steps: u64,
    pub commits: usize,
    /// Number of faults and reactions, by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

/// Runs `seeds` seeds, from `from` on. Calls `progress` after each run.
///
/// # Errors
/// Fails with the violation of the lowest seed that has one.
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
            // Threads take the seeds in ascending order. So all seeds below a failed one finish, too.
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds {
                break;
            }
            match run(seed, mutation) {
                Ok(report) => {
                    let mut total = total.lock().unwrap();
                    total.seeds += 1;
                    total.steps += report.steps;
                    total.commits += report.commits;
                    report.faults.into_iter().for_each(|(what, times)| *total.faults.entry(what).or_default() += times);
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
