//! A clock that can jump. The time of the runtime does not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_smithy_async::time::TimeSource;
use jiff::Timestamp;
use tokio::time::Instant;

/// The start of every run, in seconds since 1970: 2026-11-22, 10:00 UTC.
pub const START: u64 = 1_795_341_600;

/// The clock of the functions and of the SDK.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    began: Instant,
    ahead_ms: Arc<AtomicI64>,
}

impl SimulatedClock {
    /// A clock that shows [`START`] now.
    pub fn start() -> Self {
        Self { began: Instant::now(), ahead_ms: Arc::default() }
    }

    pub fn now(&self) -> Timestamp {
        let ahead = self.ahead_ms.load(Ordering::Relaxed) * 1000;
        Timestamp::from_microsecond(self.without_jumps().as_microsecond() + ahead).unwrap()
    }

    /// The time of a clock that never jumps.
    pub fn without_jumps(&self) -> Timestamp {
        let elapsed = i64::try_from(self.elapsed().as_micros()).unwrap();
        Timestamp::from_microsecond(START as i64 * 1_000_000 + elapsed).unwrap()
    }

    /// Sets the clock forward, or back if `milliseconds` is negative.
    pub fn jump(&self, milliseconds: i64) {
        self.ahead_ms.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// The duration of the run, without the jumps.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

impl TimeSource for SimulatedClock {
    fn now(&self) -> SystemTime {
        let since_1970 = SimulatedClock::now(self).as_microsecond();
        SystemTime::UNIX_EPOCH + Duration::from_micros(since_1970.unsigned_abs())
    }
}
