//! Schedules that invoke a function at a fixed rate, by the clock of the stack.

use std::time::Duration;

use cqrs_dynamodb::Environment;
use jiff::{SignedDuration, Timestamp};

use crate::{functions::Function, template::ScheduleDefinition};

/// The pause between two looks at the clock, which may be wound forward.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Invokes one function at a fixed rate. The first invocation is one interval after the start.
pub struct ScheduledFunction {
    function: Function,
    definition: ScheduleDefinition,
    environment: Environment,
    next: Timestamp,
}

impl ScheduledFunction {
    pub fn new(function: Function, definition: ScheduleDefinition, environment: Environment) -> Self {
        let mut scheduled = Self { function, definition, environment, next: Timestamp::MIN };
        scheduled.plan_next();
        scheduled
    }

    /// Invokes the function if it is due. Intervals that have passed unnoticed are skipped. Returns whether it was due.
    pub async fn step(&mut self) -> bool {
        let now = self.environment.now();
        if now < self.next {
            return false;
        }
        self.plan_next();
        if let Err(error) = self.function.invoke(self.definition.input.clone(), now.as_millisecond()).await {
            tracing::warn!("a scheduled invocation failed: {error}");
        }
        true
    }

    /// Invokes the function for ever.
    pub async fn run(mut self) {
        loop {
            self.step().await;
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn plan_next(&mut self) {
        let rate = SignedDuration::try_from(self.definition.rate).unwrap_or(SignedDuration::MAX);
        self.next = self.environment.now().saturating_add(rate).unwrap_or(Timestamp::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    };

    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_function_is_invoked_once_when_the_clock_passes_one_or_more_intervals() {
        let (seconds, invocations) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicUsize::new(0)));
        let (clock, counted) = (Arc::clone(&seconds), Arc::clone(&invocations));
        let environment =
            Environment::new(move || Timestamp::from_second(clock.load(Ordering::SeqCst)).unwrap(), || [0; 16]);
        let function = Function::new(Duration::from_secs(1), move |event, _| {
            assert_eq!(event, json!({ "sweep": {} }));
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(json!(null)) })
        });
        let definition = ScheduleDefinition { rate: Duration::from_secs(300), input: json!({ "sweep": {} }) };
        let mut scheduled = ScheduledFunction::new(function, definition, environment);
        let mut invocations_at = async |second: i64| {
            seconds.store(second, Ordering::SeqCst);
            scheduled.step().await;
            invocations.load(Ordering::SeqCst)
        };
        assert_eq!(invocations_at(299).await, 0);
        assert_eq!(invocations_at(300).await, 1);
        assert_eq!(invocations_at(599).await, 1);
        assert_eq!(invocations_at(10_000).await, 2);
        assert_eq!(invocations_at(10_001).await, 2);
    }
}
