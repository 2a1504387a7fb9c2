//! What a run depends on, and nothing else.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use cqrs_dynamodb::Environment;

use crate::{clock::SimulatedClock, commands::CommandLog, seeded_random::SeededRandom, trace::Trace};

/// SimulatedClock, random, and what is known of the run so far.
#[derive(Debug)]
pub struct World {
    /// The clock of the functions.
    pub clock: SimulatedClock,
    /// Decides what clients do, and what goes wrong.
    pub random: SeededRandom,
    /// What happened.
    pub trace: Trace,
    /// What was logged for.
    pub commands: CommandLog,
    faults_stopped: AtomicBool,
}

impl World {
    /// The world of a seed, at its beginning. All other random of this thread follows the seed too: the SDK's jitter
    /// and its tokens come from there.
    pub fn of(seed: u64) -> Arc<Self> {
        fastrand::seed(seed);
        let clock = SimulatedClock::start();
        Arc::new(Self {
            random: SeededRandom::new(seed ^ 0x9e37_79b9_7f4a_7c15),
            trace: Trace::new(clock.clone()),
            commands: CommandLog::default(),
            faults_stopped: AtomicBool::new(false),
            clock,
        })
    }

    /// The clock and a random of their own, for the functions.
    pub fn environment(&self, seed: u64) -> Environment {
        let (clock, random) = (self.clock.clone(), SeededRandom::new(seed));
        Environment::new(move || clock.now(), move || random.bytes())
    }

    /// Nothing goes wrong any more.
    pub fn stop_faults(&self) {
        self.faults_stopped.store(true, Ordering::Relaxed);
    }

    /// Whether this goes wrong now, as it does `per_mille` of a thousand times. It is counted if it does.
    pub fn inject(&self, what: &'static str, per_mille: u64) -> bool {
        let injected = !self.faults_stopped.load(Ordering::Relaxed) && self.random.happens(per_mille);
        if injected {
            self.trace.count(what);
        }
        injected
    }

    /// Whether the run goes on: no invariant was violated.
    pub fn invariants_hold(&self) -> bool {
        self.trace.violation().is_none()
    }
}
