//! The clock of the stack, which can be wound forward.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cqrs_dynamodb::Environment;
use jiff::{SignedDuration, Timestamp};

/// The longest time by which the clock can be ahead: 100 years. Later times might not fit into a date.
const MAX_AHEAD: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A clock that is ahead of another one. It never goes back.
#[derive(Clone, Debug)]
pub struct StackClock {
    base: Environment,
    ahead_ms: Arc<AtomicU64>,
}

impl StackClock {
    /// A clock that is `ahead` of that of `base`.
    pub fn new(base: Environment, ahead: Duration) -> Self {
        let ahead_ms = u64::try_from(ahead.min(MAX_AHEAD).as_millis()).unwrap_or_default();
        Self { base, ahead_ms: Arc::new(AtomicU64::new(ahead_ms)) }
    }

    /// The time by which the clock is ahead after it was wound forward by `duration`.
    ///
    /// # Errors
    /// Fails if the clock would be more than 100 years ahead.
    pub fn ahead_after(&self, duration: Duration) -> Result<Duration, String> {
        let ahead = self.ahead().saturating_add(duration);
        if ahead > MAX_AHEAD { Err("the clock can be at most 100 years ahead".to_owned()) } else { Ok(ahead) }
    }

    /// Winds the clock forward, to the millisecond. Does nothing if it is further ahead already.
    pub fn set_ahead(&self, ahead: Duration) {
        let ahead_ms = u64::try_from(ahead.min(MAX_AHEAD).as_millis()).unwrap_or_default();
        self.ahead_ms.fetch_max(ahead_ms, Ordering::SeqCst);
    }

    /// The time by which the clock is ahead.
    pub fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }

    /// An environment with this clock and the randomness of the base.
    pub fn environment(&self) -> Environment {
        let (clock, random) = (self.clone(), self.base.clone());
        Environment::new(move || clock.now(), move || random.random_bytes())
    }

    fn now(&self) -> Timestamp {
        let ahead = SignedDuration::try_from(self.ahead()).unwrap_or(SignedDuration::ZERO);
        self.base.now().saturating_add(ahead).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wound_clock_is_ahead_and_never_goes_back() {
        let base = Environment::new(|| Timestamp::UNIX_EPOCH, || [0; 16]);
        let clock = StackClock::new(base, Duration::from_secs(10));
        let environment = clock.environment();
        assert_eq!(environment.now().as_second(), 10);
        clock.set_ahead(clock.ahead_after(Duration::from_secs(50)).unwrap());
        assert_eq!(environment.now().as_second(), 60);
        clock.set_ahead(Duration::from_secs(1));
        assert_eq!(environment.now().as_second(), 60);
        assert!(clock.ahead_after(MAX_AHEAD).is_err());
        assert!(clock.ahead_after(Duration::MAX).is_err());
    }
}
