//! A clock that jumps, over a time that does not.

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

/// When every run begins, in seconds since 1970: 2026-11-22, 10:00 UTC.
pub const START: u64 = 1_795_341_600;

/// The clock that the functions and the SDK see.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    began: Instant,
    ahead_ms: Arc<AtomicI64>,
}

impl SimulatedClock {
    /// A clock that begins now, at [`START`].
    pub fn start() -> Self {
        Self { began: Instant::now(), ahead_ms: Arc::default() }
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.elapsed().as_micros()).unwrap();
        let ahead = self.ahead_ms.load(Ordering::Relaxed) * 1000;
        Timestamp::from_microsecond(START as i64 * 1_000_000 + elapsed + ahead).unwrap()
    }

    /// Sets it forward, or back.
    pub fn jump(&self, milliseconds: i64) {
        self.ahead_ms.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// How long the run has been going on, whatever the clock shows.
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
