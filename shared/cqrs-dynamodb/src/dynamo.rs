//! DynamoDB as one invocation sees it.

use std::time::Duration;

use aws_sdk_dynamodb::{Client, config};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use jiff::{SignedDuration, Timestamp};

use crate::{Environment, StoreError};

/// How long one attempt of a call may take. DynamoDB answers in milliseconds; what takes a second is lost.
const ATTEMPT: Duration = Duration::from_secs(1);
/// What is kept of the time before the deadline, to answer in.
const RESERVE: Duration = Duration::from_millis(500);
/// How long a call with all its attempts may take where no deadline is set.
const WITHOUT_DEADLINE: Duration = Duration::from_secs(10);
/// The first pause before a call is tried again; the SDK doubles it each time, with jitter.
const FIRST_BACKOFF: Duration = Duration::from_millis(25);
/// The longest pause.
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// The client, the clock and the chance, and until when an answer is needed.
#[derive(Clone, Debug)]
pub struct Dynamo {
    /// The SDK's client.
    pub client: Client,
    /// Clock and chance.
    pub environment: Environment,
    deadline: Option<Timestamp>,
}

impl Dynamo {
    /// DynamoDB without a deadline.
    pub fn new(client: Client, environment: Environment) -> Self {
        Self { client, environment, deadline: None }
    }

    /// The same, for an invocation that ends at `deadline`: calls give up half a second before it.
    #[must_use]
    pub fn with_deadline(&self, deadline: Timestamp) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// How long it is until the deadline, if there is one.
    pub fn time_left(&self) -> Option<SignedDuration> {
        self.deadline.map(|deadline| deadline.duration_since(self.environment.now()))
    }

    /// How the SDK tries again: standard retries, ten attempts, with backoff from 25 ms to 1 s. For the configuration of
    /// the client.
    pub fn retries() -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(10)
            .with_initial_backoff(FIRST_BACKOFF)
            .with_max_backoff(LONGEST_BACKOFF)
    }

    /// What a call needs to end in time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is no time left for a call.
    pub(crate) fn call_config(&self) -> Result<config::Builder, StoreError> {
        let budget = match self.time_left() {
            None => WITHOUT_DEADLINE,
            Some(left) => Duration::try_from(left)
                .ok()
                .and_then(|left| left.checked_sub(RESERVE))
                .filter(|budget| !budget.is_zero())
                .ok_or_else(|| StoreError::Unavailable("no time is left before the deadline".into()))?,
        };
        let timeouts =
            TimeoutConfig::builder().operation_timeout(budget).operation_attempt_timeout(ATTEMPT.min(budget)).build();
        Ok(config::Builder::new().timeout_config(timeouts))
    }

    /// Waits a random while before try number `attempt` (from 0), up to twice as long each time: full jitter.
    pub(crate) async fn back_off(&self, attempt: u32) {
        let ceiling = FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(attempt)).min(LONGEST_BACKOFF);
        let ceiling = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        tokio::time::sleep(Duration::from_millis(self.environment.random_below(ceiling + 1))).await;
    }
}
