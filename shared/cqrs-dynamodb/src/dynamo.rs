//! The DynamoDB client of one invocation.

use std::time::Duration;

use aws_sdk_dynamodb::{Client, config};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use jiff::{SignedDuration, Timestamp};

use crate::{Environment, StoreError, generations::GenerationsCache};

/// The timeout of one attempt of a call. DynamoDB responds in milliseconds; an attempt without a response after a
/// second has failed.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// The time before the deadline that is reserved for the function's own response.
const RESPONSE_RESERVE: Duration = Duration::from_millis(500);
/// The timeout of a call with all its attempts, if the invocation has no deadline.
const TIMEOUT_WITHOUT_DEADLINE: Duration = Duration::from_secs(10);
/// The first pause before a retry. The SDK doubles it for each retry, with jitter.
const FIRST_BACKOFF: Duration = Duration::from_millis(25);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// The limit of actions per transaction (Amazon DynamoDB API Reference, `TransactWriteItems`).
pub(crate) const MAX_ACTIONS: usize = 100;

/// A DynamoDB client with clock, randomness and the invocation's deadline.
#[derive(Clone, Debug)]
pub struct Dynamo {
    pub client: Client,
    pub environment: Environment,
    /// The generations of counters that this process has read.
    pub(crate) generations: GenerationsCache,
    deadline: Option<Timestamp>,
}

impl Dynamo {
    /// Creates a client without a deadline.
    pub fn new(client: Client, environment: Environment) -> Self {
        Self { client, environment, generations: GenerationsCache::default(), deadline: None }
    }

    /// Returns this client for an invocation that ends at `deadline`. Its calls fail half a second before the deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Timestamp) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Returns the time until the deadline, or `None` if there is no deadline.
    pub fn time_left(&self) -> Option<SignedDuration> {
        self.deadline.map(|deadline| deadline.duration_since(self.environment.now()))
    }

    /// Returns whether time is left for a call.
    pub(crate) fn has_time_left(&self) -> bool {
        self.call_config().is_ok()
    }

    /// Returns the retry configuration of the client: standard retries, ten attempts, a backoff of 25 ms to 1 s.
    pub fn retries() -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(10)
            .with_initial_backoff(FIRST_BACKOFF)
            .with_max_backoff(LONGEST_BACKOFF)
    }

    /// Returns the configuration of a call that must end before the deadline.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if no time is left for a call.
    pub(crate) fn call_config(&self) -> Result<config::Builder, StoreError> {
        Ok(config::Builder::new().timeout_config(self.timeouts()?))
    }

    /// Returns the timeouts of a call that must end before the deadline, for a client of any service.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if no time is left for a call.
    pub fn timeouts(&self) -> Result<TimeoutConfig, StoreError> {
        let budget = match self.time_left() {
            None => TIMEOUT_WITHOUT_DEADLINE,
            Some(left) => Duration::try_from(left)
                .ok()
                .and_then(|left| left.checked_sub(RESPONSE_RESERVE))
                .filter(|budget| !budget.is_zero())
                .ok_or_else(|| StoreError::Unavailable("no time is left before the deadline".into()))?,
        };
        Ok(TimeoutConfig::builder()
            .operation_timeout(budget)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT.min(budget))
            .build())
    }

    /// Waits after attempt number `attempt`, from 1, has failed: a random time up to a ceiling that doubles with each
    /// attempt (full jitter), from 25 ms to one second.
    pub async fn back_off(&self, attempt: u32) {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let ceiling = FIRST_BACKOFF.saturating_mul(doubled).min(LONGEST_BACKOFF);
        let ceiling = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        tokio::time::sleep(Duration::from_millis(self.environment.random_below(ceiling + 1))).await;
    }
}
