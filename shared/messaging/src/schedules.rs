//! One-shot schedules of EventBridge Scheduler: each sends one message to a queue, and is deleted after that.

use app::{App, settings::SettingError};
use aws_sdk_scheduler::{
    Client, Config,
    error::SdkError,
    operation::create_schedule::CreateScheduleError,
    types::{ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target},
};
use aws_smithy_types::retry::RetryConfig;
use cqrs::{digest, identity::hex};
use cqrs_dynamodb::{Dynamo, StoreError};
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

/// The number of attempts to create a schedule. A sweep makes up for a schedule that is not created.
const ATTEMPTS: u32 = 3;

/// Creates schedules for one queue.
#[derive(Clone, Debug)]
pub struct Schedules {
    client: Client,
    /// Clock and the invocation's deadline.
    dynamo: Dynamo,
    /// The name of the schedule group.
    group: String,
    /// The ARN of the queue.
    target: String,
    /// The ARN of the role that may send to the queue.
    role: String,
}

/// A schedule that was not created.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    #[error("no time is left to create a schedule")]
    NoTimeLeft(#[source] StoreError),
    #[error("EventBridge Scheduler did not create a schedule")]
    Scheduler(#[source] Box<SdkError<CreateScheduleError>>),
    #[error("a schedule is invalid")]
    Invalid(#[source] aws_sdk_scheduler::error::BuildError),
}

impl Schedules {
    /// Builds the client of the schedules in the group `TIMER_GROUP`, for the queue `TIMER_TARGET`. EventBridge
    /// Scheduler sends with the role `TIMER_ROLE`.
    ///
    /// # Errors
    /// The first of these environment variables that is not set.
    pub fn new(app: &App) -> Result<Self, SettingError> {
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let variable = |name| app.aws.variable(name);
        Ok(Self {
            client: Client::from_conf(Config::from(&app.aws.client_config("SCHEDULER", retries))),
            dynamo: app.dynamo.clone(),
            group: variable("TIMER_GROUP")?,
            target: variable("TIMER_TARGET")?,
            role: variable("TIMER_ROLE")?,
        })
    }

    /// Schedules `message` for the first full minute at or after `at`, or after now. EventBridge Scheduler sends it
    /// within that minute (Amazon EventBridge Scheduler User Guide, "Schedule types").
    ///
    /// A repeat changes nothing, because the name of the schedule follows from message and time.
    ///
    /// # Errors
    /// [`ScheduleError`]. The schedule may have been created.
    pub async fn send_at(&self, message: &str, at: Timestamp) -> Result<(), ScheduleError> {
        let at = full_minute(at.max(self.dynamo.environment.now() + SignedDuration::from_secs(1)));
        let target = Target::builder().arn(&self.target).role_arn(&self.role).input(message).build();
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
        let create = self
            .client
            .create_schedule()
            .name(name(message, at))
            .group_name(&self.group)
            .schedule_expression(expression(at))
            .flexible_time_window(window.map_err(ScheduleError::Invalid)?)
            .target(target.map_err(ScheduleError::Invalid)?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .customize();
        let timeouts = self.dynamo.timeouts().map_err(ScheduleError::NoTimeLeft)?;
        match create.config_override(Config::builder().timeout_config(timeouts)).send().await {
            Ok(_) => Ok(()),
            // The name is taken by an earlier attempt.
            Err(error) if error.as_service_error().is_some_and(CreateScheduleError::is_conflict_exception) => Ok(()),
            Err(error) => Err(ScheduleError::Scheduler(Box::new(error))),
        }
    }
}

/// Returns the name of a schedule: 64 characters, which is the limit (Amazon EventBridge Scheduler API Reference,
/// `CreateSchedule`).
fn name(message: &str, at: Timestamp) -> String {
    hex(&digest(&[message, &at.to_string()]))
}

/// Returns the expression of a time in UTC.
fn expression(at: Timestamp) -> String {
    format!("at({})", at.to_string().trim_end_matches('Z'))
}

/// Rounds up to the precision of EventBridge Scheduler, because a message that comes too early would find nothing due.
fn full_minute(time: Timestamp) -> Timestamp {
    let up = TimestampRound::new().smallest(Unit::Minute).mode(RoundMode::Ceil);
    time.round(up).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_schedule_is_for_a_full_minute_and_never_early() {
        assert_eq!(full_minute(time("2026-11-22T10:00:00.000001Z")), time("2026-11-22T10:01:00Z"));
        assert_eq!(full_minute(time("2026-11-22T10:00:00Z")), time("2026-11-22T10:00:00Z"));
        assert_eq!(expression(time("2026-11-22T10:00:00Z")), "at(2026-11-22T10:00:00)");
    }

    #[test]
    fn the_name_of_a_schedule_follows_from_message_and_time() {
        let at = time("2026-11-22T10:00:00Z");
        assert_eq!(name("a", at), name("a", at));
        assert_ne!(name("a", at), name("b", at));
        assert_ne!(name("a", at), name("a", time("2026-11-22T10:00:01Z")));
        assert_eq!(name("a", at).len(), 64);
    }
}
