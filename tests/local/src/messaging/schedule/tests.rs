use super::*;

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

const NOW: &str = "2026-11-22T10:00:00Z";

fn request(name: &str, expression: &str) -> Value {
    json!({
        "Name": name, "GroupName": "Timers", "ClientToken": "first", "ScheduleExpression": expression,
        "FlexibleTimeWindow": { "Mode": "OFF" }, "ActionAfterCompletion": "DELETE",
        "Target": { "Arn": "arn:aws:sqs:local:000000000000:Signals", "RoleArn": "arn:aws:iam::0:role/r", "Input": "{\"a\":1}" },
    })
}

fn changed(path: &str, value: Value) -> Value {
    let mut request = request("a", "at(2026-11-22T12:00:00)");
    *request.pointer_mut(path).unwrap() = value;
    request
}

fn scheduler(requests: &[Value]) -> Scheduler {
    let mut scheduler = Scheduler::new(["Timers".to_owned()]);
    requests.iter().for_each(|request| drop(scheduler.create(request, at(NOW)).unwrap()));
    scheduler
}

fn code(result: Result<Value, ServiceError>) -> (u16, &'static str) {
    result.map_or_else(|error| (error.status, error.code), |_| (200, ""))
}

#[test]
fn a_schedule_fires_once_when_it_is_due() {
    let mut scheduler = scheduler(&[request("a", "at(2026-11-22T12:00:00)"), request("b", "at(2026-11-22T11:00:00)")]);
    assert_eq!(scheduler.next_due(), Some(at("2026-11-22T11:00:00Z")));
    assert!(scheduler.fire(at("2026-11-22T10:59:59.999Z")).is_empty());
    let fired = scheduler.fire(at("2026-11-22T12:00:00Z"));
    assert_eq!(fired.iter().map(|fired| fired.key.1.as_str()).collect::<Vec<_>>(), ["b", "a"], "the earlier first");
    assert_eq!(
        (fired[0].target.as_str(), fired[0].input.as_str()),
        ("arn:aws:sqs:local:000000000000:Signals", "{\"a\":1}")
    );
    assert!(scheduler.fire(at("2026-11-23T12:00:00Z")).is_empty());
    assert_eq!(scheduler.next_due(), None);
}

#[test]
fn a_schedule_is_deleted_after_completion_only_if_it_says_so() {
    let kept = changed("/ActionAfterCompletion", json!("NONE"));
    let mut scheduler = scheduler(&[kept.clone(), request("b", "at(2026-11-22T12:00:00)")]);
    assert_eq!(scheduler.fire(at("2026-11-22T12:00:00Z")).len(), 2);
    assert_eq!(code(scheduler.get(&kept)), (200, ""));
    assert_eq!(code(scheduler.get(&request("b", ""))), (404, "ResourceNotFoundException"));
    scheduler.update(&kept, at("2026-11-22T12:00:00Z")).unwrap();
    assert_eq!(scheduler.fire(at("2026-11-22T12:00:00Z")).len(), 1, "an updated schedule fires again");
}

#[test]
fn a_schedule_in_the_past_fires_at_once() {
    let mut scheduler = scheduler(&[request("a", "at(2020-01-01T00:00:00)")]);
    assert_eq!(scheduler.fire(at(NOW)).len(), 1);
}

#[test]
fn a_disabled_schedule_does_not_fire() {
    let mut disabled = request("a", "at(2026-11-22T12:00:00)");
    disabled["State"] = json!("DISABLED");
    assert!(scheduler(&[disabled]).fire(at("2026-11-23T12:00:00Z")).is_empty());
}

#[test]
fn an_expression_is_read_in_its_time_zone() {
    for (expression, zone, expected) in [
        ("at(2026-11-22T12:00:00)", "UTC", "2026-11-22T12:00:00Z"),
        ("at(2026-11-22T12:00:00)", "Europe/Berlin", "2026-11-22T11:00:00Z"),
        ("at(2026-07-01T12:00:00)", "America/New_York", "2026-07-01T16:00:00Z"),
    ] {
        assert_eq!(time_of(expression, zone).unwrap(), at(expected), "{expression} {zone}");
    }
    for (expression, zone) in [
        ("rate(5 minutes)", "UTC"),
        ("cron(0 12 * * ? *)", "UTC"),
        ("at(2026-11-22)", "UTC"),
        ("at(2026-11-22T12:00)", "UTC"),
        ("at(2026-11-22T12:00:00Z)", "UTC"),
        ("at(2026-11-22T12:00:00.5)", "UTC"),
        ("at(2026-13-22T12:00:00)", "UTC"),
        ("2026-11-22T12:00:00", "UTC"),
        ("", "UTC"),
        ("at(2026-11-22T12:00:00)", "Europe/Atlantis"),
    ] {
        assert_eq!(time_of(expression, zone).unwrap_err().code, "ValidationException", "{expression} {zone}");
    }
}

#[test]
fn a_second_schedule_of_the_same_name_conflicts_unless_it_is_a_repeat() {
    let first = request("a", "at(2026-11-22T12:00:00)");
    let mut scheduler = scheduler(std::slice::from_ref(&first));
    assert_eq!(code(scheduler.create(&first, at(NOW))), (200, ""));
    assert_eq!(code(scheduler.create(&changed("/ClientToken", json!("second")), at(NOW))), (409, "ConflictException"));
    assert_eq!(code(scheduler.create(&changed("/ClientToken", Value::Null), at(NOW))), (409, "ConflictException"));
}

#[test]
fn what_does_not_exist_is_not_found() {
    let mut scheduler = scheduler(&[]);
    let absent = request("a", "at(2026-11-22T12:00:00)");
    let not_found = (404, "ResourceNotFoundException");
    assert_eq!(code(scheduler.get(&absent)), not_found);
    assert_eq!(code(scheduler.update(&absent, at(NOW))), not_found);
    assert_eq!(code(scheduler.delete(&absent)), not_found);
    assert_eq!(code(scheduler.create(&changed("/GroupName", json!("Others")), at(NOW))), not_found);
    scheduler.create(&absent, at(NOW)).unwrap();
    scheduler.delete(&absent).unwrap();
    assert_eq!(code(scheduler.get(&absent)), not_found);
}

#[test]
fn an_invalid_schedule_is_refused() {
    let mut scheduler = scheduler(&[]);
    for (path, value) in [
        ("/Name", json!("a b")),
        ("/Name", json!("x".repeat(65))),
        ("/Target/Arn", json!("Signals")),
        ("/Target/RoleArn", Value::Null),
        ("/Target/Input", json!("")),
        ("/FlexibleTimeWindow", Value::Null),
        ("/FlexibleTimeWindow/Mode", json!("FLEXIBLE")),
        ("/ActionAfterCompletion", json!("KEEP")),
    ] {
        let refused = scheduler.create(&changed(path, value), at(NOW));
        assert_eq!(code(refused), (400, "ValidationException"), "{path}");
    }
}

#[test]
fn a_schedule_is_returned_as_it_was_created() {
    let scheduler = scheduler(&[request("a", "at(2026-11-22T12:00:00)")]);
    let schedule = scheduler.get(&request("a", "")).unwrap();
    for (name, expected) in [
        ("Arn", json!("arn:aws:scheduler:local:000000000000:schedule/Timers/a")),
        ("GroupName", json!("Timers")),
        ("ScheduleExpression", json!("at(2026-11-22T12:00:00)")),
        ("State", json!("ENABLED")),
        ("CreationDate", json!(1_795_341_600.0)),
        ("ClientToken", Value::Null),
    ] {
        assert_eq!(schedule[name], expected, "{name}");
    }
    assert_eq!(schedule["Target"]["Input"], "{\"a\":1}");
}

#[test]
fn schedules_are_listed_in_pages() {
    let names = ["a1", "a2", "a3", "b1"];
    let scheduler = scheduler(&names.map(|name| request(name, "at(2026-11-22T12:00:00)")));
    let list = |request: Value| {
        let page = scheduler.list(&request).unwrap();
        let schedules = page["Schedules"].as_array().unwrap().clone();
        let names: Vec<_> = schedules.iter().map(|schedule| schedule["Name"].as_str().unwrap().to_owned()).collect();
        (names, page["NextToken"].clone())
    };
    let (first, next) = list(json!({ "GroupName": "Timers", "NamePrefix": "a", "MaxResults": "2" }));
    assert_eq!(first, ["a1", "a2"]);
    let (second, next) =
        list(json!({ "GroupName": "Timers", "NamePrefix": "a", "MaxResults": "2", "NextToken": next }));
    assert_eq!((second, next), (vec!["a3".to_owned()], Value::Null));
    assert_eq!(list(json!({})).0, names);
    assert!(list(json!({ "GroupName": "default" })).0.is_empty());
    assert_eq!(code(scheduler.list(&json!({ "MaxResults": "0" }))), (400, "ValidationException"));
}
