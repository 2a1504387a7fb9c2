//! Numbers by random, of one seed.

use std::{sync::Mutex, time::Duration};

use fastrand::Rng;

/// A source of random that many can draw from.
#[derive(Debug)]
pub struct SeededRandom(Mutex<Rng>);

impl SeededRandom {
    /// The random of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Rng::with_seed(seed)))
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&self, bound: u64) -> u64 {
        self.0.lock().unwrap().u64(..bound)
    }

    /// Whether it happens, to `per_mille` of a thousand.
    pub fn happens(&self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of them; `None` if there are none.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len().max(1) as u64) as usize)
    }

    /// A while of less than so many milliseconds.
    pub fn duration_below(&self, milliseconds: u64) -> Duration {
        Duration::from_millis(self.below(milliseconds))
    }

    /// 128 bits.
    pub fn bytes(&self) -> [u8; 16] {
        self.0.lock().unwrap().u128(..).to_be_bytes()
    }
}
