//! Pseudorandom numbers, determined by a seed.

use std::{sync::Mutex, time::Duration};

use fastrand::Rng;

/// A seeded random number generator that can be shared.
#[derive(Debug)]
pub struct SeededRandom(Mutex<Rng>);

impl SeededRandom {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Rng::with_seed(seed)))
    }

    /// A number below `bound`. Panics if `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        self.0.lock().unwrap().u64(..bound)
    }

    /// True with a probability of `per_mille` in a thousand.
    pub fn happens(&self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// A random item. `None` if there are none.
    pub fn pick<'a, T>(&self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len().max(1) as u64) as usize)
    }

    /// A random duration below this number of milliseconds.
    pub fn duration_below(&self, milliseconds: u64) -> Duration {
        Duration::from_millis(self.below(milliseconds))
    }

    pub fn bytes(&self) -> [u8; 16] {
        self.0.lock().unwrap().u128(..).to_be_bytes()
    }
}
