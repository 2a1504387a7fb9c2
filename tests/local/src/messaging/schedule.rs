//! EventBridge Scheduler: one-time schedules that send a message to a queue (EventBridge Scheduler API Reference).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ACCOUNT, REGION, recorded::RecordedMap, service_error::ServiceError};

/// The most bytes of a target's input (EventBridge Scheduler User Guide, "Quotas").
const MAX_INPUT: usize = 256 * 1024;
/// The default number of schedules in a page of `ListSchedules`, and the most.
const MAX_RESULTS: u64 = 100;

/// The schedules of an account, by group and name. An account always has the group `default`.
#[derive(Clone, Debug)]
pub struct Scheduler {
    groups: BTreeSet<String>,
    schedules: RecordedMap<ScheduleKey, Schedule>,
}

/// The group and the name of a schedule.
pub type ScheduleKey = (String, String);

/// A one-time schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The request, which `GetSchedule` returns.
    definition: Map<String, Value>,
    at: Timestamp,
    enabled: bool,
    /// The schedule is deleted when it has fired.
    is_deleted_after_completion: bool,
    /// It does not fire again, unless it is updated.
    completed: bool,
    created_at: Timestamp,
    modified_at: Timestamp,
    client_token: Option<String>,
}

/// A schedule that has fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiredSchedule {
    pub key: ScheduleKey,
    /// The ARN of the target.
    pub target: String,
    pub input: String,
    pub message_group: Option<String>,
    pub at: Timestamp,
}

impl Scheduler {
    /// A scheduler with these groups.
    pub fn new(groups: impl IntoIterator<Item = String>) -> Self {
        Self::restored(groups, BTreeMap::new())
    }

    /// A scheduler with stored schedules.
    pub fn restored(groups: impl IntoIterator<Item = String>, schedules: BTreeMap<ScheduleKey, Schedule>) -> Self {
        let groups = groups.into_iter().chain(["default".to_owned()]).collect();
        Self { groups, schedules: RecordedMap::of(schedules) }
    }

    /// The changes since the last call, for storage. `None` is a removed schedule.
    pub fn take_changes(&mut self) -> Vec<(ScheduleKey, Option<&Schedule>)> {
        self.schedules.take_changes()
    }

    /// Creates a schedule. A repeat with the same `ClientToken` succeeds without effect.
    ///
    /// # Errors
    /// `ConflictException` if there is a schedule of this name, `ResourceNotFoundException` if there is no such group,
    /// `ValidationException` if the request is invalid.
    pub fn create(&mut self, request: &Value, now: Timestamp) -> Result<Value, ServiceError> {
        let key = self.key(request)?;
        let schedule = Schedule::new(request, now)?;
        match self.schedules.get(&key) {
            Some(existing) if existing.client_token.is_some() && existing.client_token == schedule.client_token => {}
            Some(_) => {
                let message = format!("Schedule {} already exists.", key.1);
                return Err(ServiceError { status: 409, code: "ConflictException", message });
            }
            None => self.schedules.insert(key.clone(), schedule),
        }
        Ok(json!({ "ScheduleArn": arn(&key) }))
    }

    /// Replaces a schedule. It fires again if it has fired before.
    ///
    /// # Errors
    /// `ResourceNotFoundException` if there is no such schedule, `ValidationException` if the request is invalid.
    pub fn update(&mut self, request: &Value, now: Timestamp) -> Result<Value, ServiceError> {
        let key = self.key(request)?;
        let created_at = self.find(&key)?.created_at;
        self.schedules.insert(key.clone(), Schedule { created_at, ..Schedule::new(request, now)? });
        Ok(json!({ "ScheduleArn": arn(&key) }))
    }

    /// Returns a schedule.
    ///
    /// # Errors
    /// `ResourceNotFoundException`
    pub fn get(&self, request: &Value) -> Result<Value, ServiceError> {
        let key = self.key(request)?;
        let schedule = self.find(&key)?;
        let mut answer = schedule.definition.clone();
        answer.extend(schedule.summary(&key));
        Ok(Value::Object(answer))
    }

    /// Deletes a schedule.
    ///
    /// # Errors
    /// `ResourceNotFoundException`
    pub fn delete(&mut self, request: &Value) -> Result<Value, ServiceError> {
        let key = self.key(request)?;
        self.find(&key)?;
        self.schedules.remove(&key);
        Ok(json!({}))
    }

    /// Lists schedules by group, prefix of their names, and state.
    ///
    /// # Errors
    /// `ValidationException` if the number of results is invalid.
    pub fn list(&self, request: &Value) -> Result<Value, ServiceError> {
        let (group, prefix, state) =
            (request["GroupName"].as_str(), request["NamePrefix"].as_str(), request["State"].as_str());
        let max = request["MaxResults"].as_str().map_or(Ok(MAX_RESULTS), str::parse);
        let max = max.ok().filter(|max| (1..=MAX_RESULTS).contains(max));
        let max = max.ok_or_else(|| ServiceError::validation("MaxResults must be a number from 1 to 100"))?;
        let is_listed = |(key, schedule): &(&ScheduleKey, &Schedule)| {
            group.is_none_or(|group| key.0 == group)
                && prefix.is_none_or(|prefix| key.1.starts_with(prefix))
                && state.is_none_or(|state| schedule.state() == state)
                && request["NextToken"].as_str().is_none_or(|after| token(key).as_str() > after)
        };
        let mut listed = self.schedules.iter().filter(is_listed).peekable();
        let (mut schedules, mut last) = (Vec::new(), None);
        for (key, schedule) in listed.by_ref().take(usize::try_from(max).unwrap_or(usize::MAX)) {
            let mut summary = schedule.summary(key);
            summary.insert(
                "Target".to_owned(),
                json!({ "Arn": schedule.definition.get("Target").map(|target| &target["Arn"]) }),
            );
            schedules.push(Value::Object(summary));
            last = Some(token(key));
        }
        Ok(json!({ "Schedules": schedules, "NextToken": last.filter(|_| listed.peek().is_some()) }))
    }

    /// Fires the schedules that are due at `now`, in the order of their times.
    pub fn fire(&mut self, now: Timestamp) -> Vec<FiredSchedule> {
        let mut fired = Vec::new();
        for key in self.schedules.keys_where(|schedule| schedule.is_pending() && schedule.at <= now) {
            let Some(schedule) = self.schedules.get_mut(&key) else { continue };
            fired.push(schedule.fire(&key));
            if schedule.is_deleted_after_completion {
                self.schedules.remove(&key);
            }
        }
        fired.sort_by_key(|fired| fired.at);
        fired
    }

    /// Returns the time of the next schedule that fires, if any.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.schedules.iter().map(|(_, schedule)| schedule).filter(|schedule| schedule.is_pending()).map(|s| s.at).min()
    }

    fn key(&self, request: &Value) -> Result<ScheduleKey, ServiceError> {
        let is_valid = |name: &&str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=64).contains(&name.len()) && name.bytes().all(is_allowed)
        };
        let name = request["Name"].as_str().filter(is_valid);
        let name =
            name.ok_or_else(|| invalid("name", "must be 1 to 64 of the characters a-z, A-Z, 0-9, -, _ and ."))?;
        let group = request["GroupName"].as_str().unwrap_or("default");
        if !self.groups.contains(group) {
            return Err(not_found(&format!("Schedule group {group} does not exist.")));
        }
        Ok((group.to_owned(), name.to_owned()))
    }

    fn find(&self, key: &ScheduleKey) -> Result<&Schedule, ServiceError> {
        self.schedules.get(key).ok_or_else(|| not_found(&format!("Schedule {} does not exist.", key.1)))
    }
}

impl Schedule {
    fn new(request: &Value, now: Timestamp) -> Result<Self, ServiceError> {
        let expression = request["ScheduleExpression"].as_str().unwrap_or_default();
        let zone = request["ScheduleExpressionTimezone"].as_str().unwrap_or("UTC");
        let at = time_of(expression, zone)?;
        let (target, window) = (&request["Target"], &request["FlexibleTimeWindow"]);
        let is_arn = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("arn:"));
        for name in ["Arn", "RoleArn"] {
            if !is_arn(&target[name]) {
                return Err(invalid(&format!("target.{name}"), "must be an ARN"));
            }
        }
        if target["Input"].as_str().is_some_and(|input| input.is_empty() || input.len() > MAX_INPUT) {
            return Err(invalid("target.Input", "must have 1 to 262144 bytes"));
        }
        match (window["Mode"].as_str(), window["MaximumWindowInMinutes"].as_u64()) {
            (Some("OFF"), None) | (Some("FLEXIBLE"), Some(1..=1440)) => {}
            _ => return Err(invalid("flexibleTimeWindow", "must be OFF, or FLEXIBLE with 1 to 1440 minutes")),
        }
        let choice = |name: &str, [default, other]: [&str; 2]| match request[name].as_str() {
            None => Ok(true),
            Some(value) if value == default => Ok(true),
            Some(value) if value == other => Ok(false),
            Some(_) => Err(invalid(name, &format!("must be {default} or {other}"))),
        };
        let definition = request.as_object().into_iter().flatten();
        let definition = definition.filter(|(name, _)| !["ClientToken", "GroupName"].contains(&name.as_str()));
        Ok(Self {
            definition: definition.map(|(name, value)| (name.clone(), value.clone())).collect(),
            at,
            enabled: choice("State", ["ENABLED", "DISABLED"])?,
            is_deleted_after_completion: !choice("ActionAfterCompletion", ["NONE", "DELETE"])?,
            completed: false,
            created_at: now,
            modified_at: now,
            client_token: request["ClientToken"].as_str().map(str::to_owned),
        })
    }

    fn is_pending(&self) -> bool {
        self.enabled && !self.completed
    }

    fn state(&self) -> &'static str {
        if self.enabled { "ENABLED" } else { "DISABLED" }
    }

    fn fire(&mut self, key: &ScheduleKey) -> FiredSchedule {
        self.completed = true;
        let target = self.definition.get("Target").unwrap_or(&Value::Null);
        FiredSchedule {
            key: key.clone(),
            target: target["Arn"].as_str().unwrap_or_default().to_owned(),
            input: target["Input"].as_str().unwrap_or("{}").to_owned(),
            message_group: target["SqsParameters"]["MessageGroupId"].as_str().map(str::to_owned),
            at: self.at,
        }
    }

    /// The attributes that `GetSchedule` and `ListSchedules` have in common.
    fn summary(&self, key: &ScheduleKey) -> Map<String, Value> {
        let seconds = |time: Timestamp| json!(time.as_millisecond() as f64 / 1000.0);
        Map::from_iter([
            ("Arn".to_owned(), json!(arn(key))),
            ("GroupName".to_owned(), json!(key.0)),
            ("Name".to_owned(), json!(key.1)),
            ("State".to_owned(), json!(self.state())),
            ("CreationDate".to_owned(), seconds(self.created_at)),
            ("LastModificationDate".to_owned(), seconds(self.modified_at)),
        ])
    }
}

/// Returns the time of an expression like `at(2026-11-22T10:00:00)` in a time zone like `Europe/Berlin`.
fn time_of(expression: &str, zone: &str) -> Result<Timestamp, ServiceError> {
    let malformed = || ServiceError::validation(format!("Invalid Schedule Expression {expression}."));
    if ["rate(", "cron("].iter().any(|kind| expression.starts_with(kind)) {
        let reason = format!("The local stack supports no recurring schedule like {expression}.");
        return Err(ServiceError::validation(reason));
    }
    let time = expression.strip_prefix("at(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(malformed)?;
    let has_seconds = time.len() == "2026-11-22T10:00:00".len() && time.as_bytes().get(10) == Some(&b'T');
    let time: DateTime = time.parse().ok().filter(|_| has_seconds).ok_or_else(malformed)?;
    let zone = TimeZone::get(zone).map_err(|_| invalid("scheduleExpressionTimezone", "must be a known time zone"))?;
    zone.to_timestamp(time).map_err(|_| malformed())
}

fn arn((group, name): &ScheduleKey) -> String {
    format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{group}/{name}")
}

fn token((group, name): &ScheduleKey) -> String {
    format!("{group}/{name}")
}

fn invalid(parameter: &str, requirement: &str) -> ServiceError {
    ServiceError::validation(format!("1 validation error detected: {parameter} {requirement}"))
}

fn not_found(message: &str) -> ServiceError {
    ServiceError { status: 404, code: "ResourceNotFoundException", message: message.to_owned() }
}

#[cfg(test)]
mod tests;
