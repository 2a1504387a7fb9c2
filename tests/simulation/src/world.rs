//! The shared state of a run. Nothing else influences the run.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use cqrs_dynamodb::Environment;

use tokio::sync::Notify;

use crate::{clock::SimulatedClock, commands::CommandLog, seeded_random::SeededRandom, trace::Trace};

#[derive(Debug)]
pub struct World {
    pub clock: SimulatedClock,
    /// Determines the actions of the clients and the faults.
    pub random: SeededRandom,
    pub trace: Trace,
    pub commands: CommandLog,
    /// The hashes of the commits that a restore has removed. A restored table has another stream, which lacks them.
    pub lost_commits: Mutex<BTreeSet<String>>,
    /// A stream whose last commit nobody can read for a while.
    pub unreadable: Mutex<Option<String>>,
    /// Ends the pauses of all clients.
    pub hurry: Notify,
    /// The source streams that a signal has named which was not dropped.
    pub signalled: Mutex<BTreeSet<String>>,
    faults_stopped: AtomicBool,
}

impl World {
    /// The start of a run. Also seeds this thread's generator, which the SDK uses for its jitter and tokens.
    pub fn of(seed: u64) -> Arc<Self> {
        fastrand::seed(seed);
        let clock = SimulatedClock::start();
        Arc::new(Self {
            random: SeededRandom::new(seed ^ 0x9e37_79b9_7f4a_7c15),
            trace: Trace::new(clock.clone()),
            commands: CommandLog::default(),
            lost_commits: Mutex::default(),
            unreadable: Mutex::default(),
            hurry: Notify::new(),
            signalled: Mutex::default(),
            faults_stopped: AtomicBool::new(false),
            clock,
        })
    }

    /// The clock, and a random number generator of its own, for the functions.
    pub fn environment(&self, seed: u64) -> Environment {
        let (clock, random) = (self.clock.clone(), SeededRandom::new(seed));
        Environment::new(move || clock.now(), move || random.bytes())
    }

    pub fn stop_faults(&self) {
        self.faults_stopped.store(true, Ordering::Relaxed);
    }

    pub fn resume_faults(&self) {
        self.faults_stopped.store(false, Ordering::Relaxed);
    }

    /// Decides with a probability of `per_mille` in a thousand whether to inject a fault now. Counts the fault.
    pub fn inject(&self, what: &'static str, per_mille: u64) -> bool {
        let injected = !self.faults_stopped.load(Ordering::Relaxed) && self.random.happens(per_mille);
        if injected {
            self.trace.count(what);
        }
        injected
    }

    pub fn invariants_hold(&self) -> bool {
        self.trace.violation().is_none()
    }
}
