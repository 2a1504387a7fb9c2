//! The process function: signals, schedules and sweeps.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use app::{App, Aws, Metrics, Tables, client, trace::XRay};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use cqrs::{Process, ProcessEvent, StreamId};
use cqrs_dynamodb::{CatchUpRequest, Projector};
use jiff::SignedDuration;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    Jars,
    jar::{JarEvent, filled},
    process::{Spoilage, timers},
    settings,
};

/// A server that takes schedules as EventBridge Scheduler does.
#[derive(Clone, Default)]
struct Scheduler {
    schedules: Arc<Mutex<BTreeMap<String, Value>>>,
    is_down: Arc<Mutex<bool>>,
}

async fn create_schedule(
    State(scheduler): State<Scheduler>,
    Path(name): Path<String>,
    Json(schedule): Json<Value>,
) -> Response {
    let error = |status, kind| (status, [("x-amzn-errortype", kind)], Json(json!({ "Message": kind }))).into_response();
    if *scheduler.is_down.lock().unwrap() {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException");
    }
    if scheduler.schedules.lock().unwrap().insert(name, schedule).is_some() {
        return error(StatusCode::CONFLICT, "ConflictException");
    }
    Json(json!({ "ScheduleArn": "arn:aws:scheduler:local" })).into_response()
}

/// The function with the tables of jars, and what it has scheduled and measured.
struct FunctionUnderTest {
    jars: Jars,
    projector: Projector,
    app: App,
    scheduler: Scheduler,
    metrics: Arc<Mutex<Vec<Value>>>,
}

const VARIABLES: [(&str, &str); 4] = [
    ("EVENT_SOURCE", "jars"),
    ("TIMER_GROUP", "Timers"),
    ("TIMER_TARGET", "arn:aws:sqs:local:1:ProcessSignals"),
    ("TIMER_ROLE", "arn:aws:iam::1:role/timers"),
];

impl FunctionUnderTest {
    async fn start() -> Self {
        let jars = Jars::start().await;
        let (projector, _) = timers(&jars).await;
        let scheduler = Scheduler::default();
        let router = Router::new().route("/schedules/{name}", post(create_schedule)).with_state(scheduler.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let metrics = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&metrics);
        let settings = settings("http://in-process").unwrap();
        let tables = ["events", Spoilage::TIMERS].map(|name| (name, jars.table(name).into()));
        let app = App {
            dynamo: jars.dynamo.clone(),
            tables: Tables::from_iter(tables),
            metrics: Metrics::to("jars", move |line| lines.lock().unwrap().push(line)),
            x_ray: XRay::default(),
            aws: Aws::new(&settings, client::transport(&settings), move |name| match name {
                "AWS_ENDPOINT_URL_SCHEDULER" => Some(url.clone()),
                name => VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
            }),
        };
        Self { jars, projector, app, scheduler, metrics }
    }

    /// The ids of the messages that stay in the queue.
    async fn handle(&self, event: Value) -> Result<Vec<String>, String> {
        let mut context = Context::default();
        context.deadline = 60_000;
        let event = LambdaEvent::new(event, context);
        let response = process::handle::<Spoilage>(&self.app, event).await.map_err(|error| error.to_string())?;
        let response = serde_json::to_value(response).unwrap();
        let failures = response["batchItemFailures"].as_array().unwrap().iter();
        Ok(failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect())
    }

    /// Handles messages with these bodies. Their ids are numbers from 0.
    async fn signals(&self, bodies: &[Value]) -> Vec<String> {
        let records = bodies.iter().enumerate();
        let records: Vec<_> =
            records.map(|(id, body)| json!({ "messageId": id.to_string(), "body": body.to_string() })).collect();
        self.handle(json!({ "Records": records })).await.unwrap()
    }

    /// Projects the timers of a jar, as the projector does.
    async fn project(&self, key: &str) {
        let stream = StreamId::of::<ProcessEvent<Spoilage>>(key);
        let head = self.jars.events().load_stored(&stream).await.unwrap().last().map(|commit| commit.version);
        let report = self.projector.catch_up(&[CatchUpRequest { head, ..CatchUpRequest::new(stream) }]).await;
        assert!(report.failed.is_empty() && report.parked.is_empty());
    }

    fn schedules(&self) -> Vec<Value> {
        self.scheduler.schedules.lock().unwrap().values().cloned().collect()
    }

    /// The metrics since the last time, summed up.
    fn metric(&self, name: &str) -> u64 {
        self.metrics.lock().unwrap().iter().filter_map(|line| line[name].as_u64()).sum()
    }
}

fn signal(key: &str) -> Value {
    json!({ "stream": StreamId::of::<JarEvent>(key) })
}

#[tokio::test]
async fn a_signal_runs_the_instance_and_schedules_the_next_one() {
    let function = FunctionUnderTest::start().await;
    function.jars.happens_in("a", filled(5)).await;
    let event = json!({ "source": "jars", "detail-type": "jar.filled", "detail": { "subject": "jar#a" } });
    assert!(function.signals(&[event]).await.is_empty());
    assert_eq!(function.jars.recorded().await.len(), 3);
    // The jar was filled after 22:13:20. The warning is due 30 minutes later; the schedule is for the next full minute.
    let expected = json!({
        "GroupName": "Timers",
        "ScheduleExpression": "at(2023-11-14T22:44:00)",
        "FlexibleTimeWindow": { "Mode": "OFF" },
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": "arn:aws:sqs:local:1:ProcessSignals", "RoleArn": "arn:aws:iam::1:role/timers",
            "Input": r#"{"stream":"jar#a"}"#,
        },
    });
    let mut schedules = function.schedules();
    schedules.iter_mut().for_each(|schedule| drop(schedule.as_object_mut().unwrap().remove("ClientToken")));
    assert_eq!(schedules, [expected]);
}

#[tokio::test]
async fn each_run_schedules_the_earliest_timer_only_and_a_repeat_changes_nothing() {
    let function = FunctionUnderTest::start().await;
    function.jars.happens_in("a", filled(5)).await;
    for _ in 0..2 {
        assert!(function.signals(&[signal("a"), signal("a")]).await.is_empty());
        assert_eq!((function.schedules().len(), function.metric("ScheduleFailures")), (1, 0));
    }
    function.jars.advance(SignedDuration::from_mins(31));
    function.signals(&[signal("a")]).await;
    assert_eq!((function.schedules().len(), function.metric("TimersFired")), (2, 1));
    function.jars.advance(SignedDuration::from_mins(30));
    function.signals(&[signal("a")]).await;
    assert_eq!((function.schedules().len(), function.metric("TimersFired")), (2, 2));
    assert_eq!((function.metric("CommandsSent"), function.metric("CommandsRejected")), (1, 0));
}

#[tokio::test]
async fn malformed_and_failed_messages_stay_in_the_queue_and_stop_no_other() {
    let function = FunctionUnderTest::start().await;
    function.jars.happens_in("a", filled(5)).await;
    function.jars.happens_in("b", filled(super::jar::PANIC_AMOUNT)).await;
    let messages = [signal("b"), json!({ "stream": "loan#7" }), signal("a"), signal("b"), json!("alice@example.com")];
    let mut failed = function.signals(&messages).await;
    failed.sort();
    assert_eq!(failed, ["0", "1", "3", "4"]);
    assert_eq!((function.metric("MalformedSignals"), function.metric("ProcessFailures")), (2, 1));
    assert_eq!(function.jars.recorded().await.len(), 3);
}

#[tokio::test]
async fn a_schedule_that_cannot_be_created_is_counted_and_a_sweep_finds_the_timer() {
    let function = FunctionUnderTest::start().await;
    function.jars.happens_in("a", filled(5)).await;
    *function.scheduler.is_down.lock().unwrap() = true;
    assert!(function.signals(&[signal("a")]).await.is_empty());
    assert_eq!(function.metric("ScheduleFailures"), 1);
    *function.scheduler.is_down.lock().unwrap() = false;
    function.project("a").await;

    let sweep = json!({ "sweep": {} });
    function.jars.advance(SignedDuration::from_mins(31));
    assert!(function.handle(sweep.clone()).await.unwrap().is_empty());
    assert_eq!(function.metric("TimersOverdue"), 0, "the signal of a schedule may still come");
    function.jars.advance(SignedDuration::from_mins(3));
    function.handle(sweep.clone()).await.unwrap();
    assert_eq!((function.metric("TimersOverdue"), function.metric("TimersFired")), (1, 1));
    assert_eq!(function.schedules().len(), 1, "the next timer");

    function.project("a").await;
    function.handle(sweep.clone()).await.unwrap();
    assert_eq!(function.metric("TimersOverdue"), 1, "the next timer is not due");
    function.jars.advance(SignedDuration::from_hours(1));
    function.handle(sweep.clone()).await.unwrap();
    assert_eq!(function.jars.jar("a").await, [filled(5), JarEvent::Emptied { amount: 5 }]);
    function.project("a").await;
    function.handle(sweep).await.unwrap();
    assert_eq!((function.metric("TimersOverdue"), function.metric("TimersFired")), (2, 2));
}

#[tokio::test]
async fn an_instance_that_fails_in_a_sweep_is_run_by_the_next_one() {
    use local::engine::interceptor::Fault;
    let function = FunctionUnderTest::start().await;
    function.jars.happens_in("a", filled(5)).await;
    function.signals(&[signal("a")]).await;
    function.project("a").await;
    function.jars.advance(SignedDuration::from_hours(2));
    function.jars.interceptor.inject("PutItem", Fault::AccessDenied, 1);
    assert!(function.handle(json!({ "sweep": {} })).await.unwrap().is_empty());
    assert_eq!((function.metric("ProcessFailures"), function.metric("TimersFired")), (1, 0));
    function.handle(json!({ "sweep": {} })).await.unwrap();
    assert_eq!(function.metric("TimersFired"), 2);
}

#[tokio::test]
async fn any_other_event_is_refused() {
    let function = FunctionUnderTest::start().await;
    for event in [json!({}), json!({ "sweep": { "all": true } }), json!({ "sweep": true }), json!({ "Records": 1 })] {
        let refused = function.handle(event).await;
        assert_eq!(refused.unwrap_err(), "the event is neither a batch of SQS messages nor a sweep");
    }
}

#[tokio::test]
async fn a_missing_setting_is_named() {
    let mut function = FunctionUnderTest::start().await;
    let settings = settings("http://in-process").unwrap();
    function.app.aws = Aws::new(&settings, client::transport(&settings), |_| None);
    let refused = function.handle(json!({ "sweep": {} })).await;
    assert_eq!(refused.unwrap_err(), "the environment variable TIMER_GROUP is not set");
}
