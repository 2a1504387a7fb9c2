//! Clock and randomness: besides its input and the tables, the only inputs of a run.

use std::{fmt, sync::Arc};

use jiff::Timestamp;

/// A clock and a source of randomness. A simulation passes in its own, so that it can repeat a run exactly.
#[derive(Clone)]
pub struct Environment {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    random: Arc<dyn Fn() -> [u8; 16] + Send + Sync>,
}

impl Environment {
    /// Returns the clock and the randomness of the operating system.
    #[allow(clippy::disallowed_methods, reason = "the only place that reads the system clock")]
    pub fn system() -> Self {
        Self::new(Timestamp::now, || {
            let mut bytes = [0; 16];
            // A panic is better than equal ids, which would be the result without entropy.
            #[allow(clippy::expect_used, reason = "the operating system's entropy does not fail after boot")]
            getrandom::fill(&mut bytes).expect("the operating system has entropy");
            bytes
        })
    }

    /// Creates an environment from a clock and a source of 16 random bytes.
    pub fn new(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        random: impl Fn() -> [u8; 16] + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), random: Arc::new(random) }
    }

    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    pub fn random_bytes(&self) -> [u8; 16] {
        (self.random)()
    }

    /// Returns a random number below `bound`, or 0 if `bound` is 0.
    pub fn random_below(&self, bound: u64) -> u64 {
        u128::from_be_bytes(self.random_bytes())
            .checked_rem(u128::from(bound))
            .and_then(|number| u64::try_from(number).ok())
            .unwrap_or_default()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}
