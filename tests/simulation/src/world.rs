//! What a run depends on, and nothing else.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use cqrs_dynamodb::Environment;

use crate::{chance::Chance, clock::Clock, commands::Commands, journal::Journal};

/// Clock, chance, and what is known of the run so far.
#[derive(Debug)]
pub struct World {
    /// The clock of the functions.
    pub clock: Clock,
    /// Decides what clients do, and what goes wrong.
    pub chance: Chance,
    /// What happened.
    pub journal: Journal,
    /// What was asked for.
    pub commands: Commands,
    calm: AtomicBool,
}

impl World {
    /// The world of a seed, at its beginning. All other chance of this thread follows the seed too: the SDK's jitter
    /// and its tokens come from there.
    pub fn of(seed: u64) -> Arc<Self> {
        fastrand::seed(seed);
        let clock = Clock::start();
        Arc::new(Self {
            chance: Chance::of(seed ^ 0x9e37_79b9_7f4a_7c15),
            journal: Journal::new(clock.clone()),
            commands: Commands::default(),
            calm: AtomicBool::new(false),
            clock,
        })
    }

    /// The clock and a chance of their own, for the functions.
    pub fn environment(&self, seed: u64) -> Environment {
        let (clock, chance) = (self.clock.clone(), Chance::of(seed));
        Environment::new(move || clock.now(), move || chance.bytes())
    }

    /// Nothing goes wrong any more.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// Whether this goes wrong now, as it does `per_mille` of a thousand times. It is counted if it does.
    pub fn goes_wrong(&self, what: &'static str, per_mille: u64) -> bool {
        let strikes = !self.calm.load(Ordering::Relaxed) && self.chance.strikes(per_mille);
        if strikes {
            self.journal.count(what);
        }
        strikes
    }

    /// Whether the run goes on: no invariant was violated.
    pub fn holds(&self) -> bool {
        self.journal.violation().is_none()
    }
}
