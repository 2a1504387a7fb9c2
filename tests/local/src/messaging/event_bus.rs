//! Event buses with their rules: `PutEvents`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ACCOUNT, REGION, event_pattern::EventPattern, service_error::ServiceError, target_input::TargetInput};

/// The most entries of a request.
const MAX_ENTRIES: usize = 10;
/// The most bytes of all entries of a request (EventBridge API Reference, `PutEvents`, 2026). It was 256 KiB before.
const MAX_BYTES: usize = 1024 * 1024;
/// The most characters of a detail type.
const MAX_DETAIL_TYPE: usize = 128;

/// The event buses, by name. An account always has the bus `default`.
#[derive(Clone, Debug)]
pub struct EventBuses(BTreeMap<String, Vec<Rule>>);

/// A rule of an event bus.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub pattern: EventPattern,
    pub targets: Vec<RuleTarget>,
}

/// A queue that gets the events of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleTarget {
    /// The name of the queue.
    pub queue: String,
    pub input: TargetInput,
    /// The message group in a FIFO queue.
    pub message_group: Option<String>,
}

/// A message from a rule or a schedule to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedMessage {
    /// The name of the queue.
    pub queue: String,
    pub body: String,
    pub message_group: Option<String>,
    /// The deduplication id in a FIFO queue.
    pub deduplication_id: String,
}

/// The result of `PutEvents`.
#[derive(Debug)]
pub struct PutEventsResult {
    pub response: Value,
    /// The events that are on the bus, with the name of the bus.
    pub published: Vec<(String, Value)>,
    pub messages: Vec<RoutedMessage>,
}

impl EventBuses {
    /// The buses with these names, without rules.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().chain(["default".to_owned()]).map(|name| (name, Vec::new())).collect())
    }

    /// Adds a rule to a bus. Does nothing if there is no such bus.
    pub fn add_rule(&mut self, bus: &str, rule: Rule) {
        if let Some(rules) = self.0.get_mut(bus) {
            rules.push(rule);
        }
    }

    /// Puts the events of a request on their buses. `new_id` creates the ids of the events.
    ///
    /// # Errors
    /// Fails if the request has no entry, too many or too large entries, or names an unknown bus. AWS accepts an entry
    /// for an unknown bus and drops it (aws/aws-sdk issue 186). The local stack refuses it, so that no event is lost.
    pub fn put_events(
        &self,
        request: &Value,
        now: Timestamp,
        mut new_id: impl FnMut() -> Uuid,
    ) -> Result<PutEventsResult, ServiceError> {
        let entries = request["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !(1..=MAX_ENTRIES).contains(&entries.len()) {
            return Err(ServiceError::validation(format!("Entries must have 1 to {MAX_ENTRIES} members")));
        }
        if entries.iter().map(size).sum::<usize>() > MAX_BYTES {
            return Err(ServiceError::validation("Total size of the entries in the request is over the limit."));
        }
        let mut result = PutEventsResult { response: Value::Null, published: Vec::new(), messages: Vec::new() };
        let mut answers = Vec::new();
        for entry in entries {
            let (bus, rules) = self.find(entry)?;
            let id = new_id().to_string();
            match event(entry, &id, now) {
                Ok(event) => {
                    result.messages.extend(rules.iter().flat_map(|rule| rule.messages(&event, &id)));
                    result.published.push((bus.clone(), event));
                    answers.push(json!({ "EventId": id }));
                }
                Err((code, message)) => answers.push(json!({ "ErrorCode": code, "ErrorMessage": message })),
            }
        }
        let failed = answers.len() - result.published.len();
        result.response = json!({ "FailedEntryCount": failed, "Entries": answers });
        Ok(result)
    }

    /// Returns the bus of an entry, which gives its name or its ARN.
    fn find(&self, entry: &Value) -> Result<(&String, &Vec<Rule>), ServiceError> {
        let given = entry["EventBusName"].as_str().unwrap_or("default");
        let name = given.rsplit_once(":event-bus/").map_or(given, |(_, name)| name);
        let unknown = || ServiceError::new("ResourceNotFoundException", format!("Event bus {name} does not exist."));
        self.0.get_key_value(name).ok_or_else(unknown)
    }
}

impl Rule {
    /// Returns the messages to the targets, if the event matches.
    fn messages(&self, event: &Value, id: &str) -> Vec<RoutedMessage> {
        if !self.pattern.matches(event) {
            return Vec::new();
        }
        let message = |target: &RuleTarget| RoutedMessage {
            queue: target.queue.clone(),
            body: target.input.of(event),
            message_group: target.message_group.clone(),
            deduplication_id: id.to_owned(),
        };
        self.targets.iter().map(message).collect()
    }
}

/// Returns the event of an entry with its envelope, or the code and the message of the entry's error.
fn event(entry: &Value, id: &str, now: Timestamp) -> Result<Value, (&'static str, String)> {
    let required = |name: &str| {
        let reason =
            || ("InvalidArgument", format!("Parameter {name} is not valid. Reason: {name} is a required argument."));
        entry[name].as_str().filter(|text| !text.is_empty()).ok_or_else(reason)
    };
    let (source, detail_type, detail) = (required("Source")?, required("DetailType")?, required("Detail")?);
    if source.starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    if detail_type.chars().count() > MAX_DETAIL_TYPE {
        let reason = format!("DetailType has more than {MAX_DETAIL_TYPE} characters.");
        return Err(("InvalidArgument", format!("Parameter DetailType is not valid. Reason: {reason}")));
    }
    let detail = serde_json::from_str(detail).ok().filter(Value::is_object);
    let detail = detail.ok_or_else(|| ("MalformedDetail", "Detail is malformed.".to_owned()))?;
    let time = entry["Time"].as_f64().and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
    let time = time.and_then(|since| Timestamp::UNIX_EPOCH.checked_add(since).ok()).unwrap_or(now);
    Ok(json!({
        "version": "0",
        "id": id,
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": format!("{time:.0}"),
        "region": REGION,
        "resources": entry["Resources"].as_array().cloned().unwrap_or_default(),
        "detail": detail,
    }))
}

/// Returns the size of an entry (Amazon EventBridge User Guide, "Calculating PutEvents event entry size").
fn size(entry: &Value) -> usize {
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    let time = if entry["Time"].is_null() { 0 } else { 14 };
    let resources = entry["Resources"].as_array().into_iter().flatten().map(text).sum::<usize>();
    time + resources + ["Source", "DetailType", "Detail"].iter().map(|name| text(&entry[*name])).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn buses() -> EventBuses {
        let mut buses = EventBuses::new(["Library".to_owned()]);
        let target =
            |queue: &str| RuleTarget { queue: queue.to_owned(), input: TargetInput::WholeEvent, message_group: None };
        for (detail_type, queues) in [("loan.extended", &["Reminders", "Audit"][..]), ("loan.closed", &["Audit"])] {
            let pattern = EventPattern::parse(&json!({ "detail-type": [detail_type] })).unwrap();
            buses.add_rule("Library", Rule { pattern, targets: queues.iter().map(|queue| target(queue)).collect() });
        }
        buses
    }

    fn entry(detail_type: &str) -> Value {
        json!({ "EventBusName": "Library", "Source": "library", "DetailType": detail_type, "Detail": "{\"days\":14}" })
    }

    fn put(entries: &[Value]) -> Result<PutEventsResult, ServiceError> {
        buses().put_events(&json!({ "Entries": entries }), NOW, || Uuid::from_u128(7))
    }

    fn errors(entries: &[Value]) -> Vec<Option<String>> {
        let result = put(entries).unwrap();
        let entries = result.response["Entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["ErrorCode"].as_str().map(str::to_owned)).collect()
    }

    #[test]
    fn an_event_goes_to_the_targets_of_all_rules_that_match() {
        let result = put(&[entry("loan.extended"), entry("loan.closed"), entry("loan.lost")]).unwrap();
        let queues: Vec<_> = result.messages.iter().map(|message| message.queue.as_str()).collect();
        assert_eq!(queues, ["Reminders", "Audit", "Audit"]);
        assert_eq!((result.published.len(), &result.response["FailedEntryCount"]), (3, &json!(0)));
    }

    #[test]
    fn an_event_has_the_envelope_of_eventbridge() {
        let mut timed = entry("loan.extended");
        timed["Time"] = json!(1_700_000_000.25);
        timed["Resources"] = json!(["loan-7"]);
        timed["EventBusName"] = json!("arn:aws:events:local:000000000000:event-bus/Library");
        let result = put(&[timed]).unwrap();
        let event: Value = serde_json::from_str(&result.messages[0].body).unwrap();
        assert_eq!(
            event,
            json!({
                "version": "0", "id": "00000000-0000-0000-0000-000000000007", "detail-type": "loan.extended",
                "source": "library", "account": "000000000000", "time": "2023-11-14T22:13:20Z", "region": "local",
                "resources": ["loan-7"], "detail": { "days": 14 },
            })
        );
        assert_eq!(result.published, [("Library".to_owned(), event)]);
    }

    #[test]
    fn an_invalid_entry_fails_alone() {
        let changed = |name: &str, value: Value| {
            let mut changed = entry("loan.closed");
            changed[name] = value;
            changed
        };
        let entries = [
            entry("loan.closed"),
            changed("Source", Value::Null),
            changed("DetailType", json!("")),
            changed("Detail", json!("{")),
            changed("Detail", json!("[1]")),
            changed("Source", json!("aws.s3")),
            changed("DetailType", json!("x".repeat(129))),
        ];
        let codes = errors(&entries);
        let expected = [
            None,
            Some("InvalidArgument"),
            Some("InvalidArgument"),
            Some("MalformedDetail"),
            Some("MalformedDetail"),
            Some("NotAuthorizedForSourceException"),
            Some("InvalidArgument"),
        ];
        assert_eq!(codes, expected.map(|code| code.map(str::to_owned)));
        let result = put(&entries).unwrap();
        assert_eq!((result.messages.len(), &result.response["FailedEntryCount"]), (1, &json!(6)));
    }

    #[test]
    fn a_request_that_is_too_large_is_refused() {
        let large = |bytes: usize| {
            let mut large = entry("loan.closed");
            large["Detail"] = json!(format!("{{\"text\":\"{}\"}}", "x".repeat(bytes)));
            large
        };
        let code = |entries: &[Value]| put(entries).map(drop).map_err(|error| error.code);
        assert_eq!(code(&[large(1024 * 1000)]), Ok(()));
        assert_eq!(code(&[large(1024 * 1024)]), Err("ValidationException"));
        assert_eq!(code(&[large(1024 * 600), large(1024 * 600)]), Err("ValidationException"));
        assert_eq!(code(&vec![entry("loan.closed"); 11]), Err("ValidationException"));
        assert_eq!(code(&[]), Err("ValidationException"));
    }

    #[test]
    fn an_unknown_bus_is_an_error() {
        let mut unknown = entry("loan.closed");
        unknown["EventBusName"] = json!("Shop");
        let error = put(&[entry("loan.closed"), unknown]).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            ("ResourceNotFoundException", "Event bus Shop does not exist.")
        );
    }

    #[test]
    fn an_entry_without_a_bus_goes_to_the_default_bus() {
        let mut other = entry("loan.closed");
        other["EventBusName"] = Value::Null;
        let result = put(&[other]).unwrap();
        assert_eq!((result.messages.len(), result.published[0].0.as_str()), (0, "default"));
    }
}
