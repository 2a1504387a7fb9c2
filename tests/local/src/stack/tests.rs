use std::{
    path::PathBuf,
    sync::{Mutex, atomic::AtomicU64, atomic::Ordering},
};

use app::{App, start::UsedTables};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::retry::RetryConfig;
use cqrs::{Domain, ReadModels};
use jiff::Timestamp;
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};

use super::*;
use crate::{
    ApiDescription, ExampleRequest,
    engine::interceptor::{EngineCall, Fault, Interceptor},
    messaging::emulator::MessagingEmulator,
    queue_mapping::QueueStep,
};

const TEMPLATE: &str = r#"
Resources:
  EventsTable:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{ AttributeName: stream, AttributeType: S }, { AttributeName: version, AttributeType: N }]
      KeySchema: [{ AttributeName: stream, KeyType: HASH }, { AttributeName: version, KeyType: RANGE }]
      StreamSpecification: { StreamViewType: NEW_IMAGE }
  Bus: { Type: AWS::Events::EventBus, Properties: { Name: any } }
  Requests: { Type: AWS::SQS::Queue }
  Answers: { Type: AWS::SQS::Queue }
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Bus
      EventPattern: { detail-type: [loan.renewed] }
      Targets: [{ Id: answers, Arn: !GetAtt Answers.Arn, InputPath: $.detail }]
  Relay:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: relay } }
    Properties:
      Environment: { Variables: { EVENTS_TABLE: !Ref EventsTable, EVENT_BUS: !Ref Bus, ANSWERS: !Ref Answers } }
      Events:
        Requests: { Type: SQS, Properties: { Queue: !GetAtt Requests.Arn } }
        Commits: { Type: DynamoDB, Properties: { Stream: !GetAtt EventsTable.StreamArn, StartingPosition: TRIM_HORIZON } }
  Audit:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: audit } }
    Properties:
      Events:
        Commits: { Type: DynamoDB, Properties: { Stream: !GetAtt EventsTable.StreamArn, StartingPosition: TRIM_HORIZON } }
"#;

struct Library;

impl Domain for Library {
    fn read_models<M: ReadModels>(models: M) -> M {
        models
    }
}

/// Puts the body of each message on the bus, as the detail of an event.
async fn relay(app: App, event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
    let bus = app.aws.variable("EVENT_BUS")?;
    let config = app.aws.client_config("EVENTBRIDGE", RetryConfig::standard());
    let client = aws_sdk_eventbridge::Client::new(&config);
    for record in event.payload["Records"].as_array().into_iter().flatten() {
        let entry = PutEventsRequestEntry::builder().event_bus_name(&bus).source("library");
        let entry = entry.detail_type("loan.renewed").detail(record["body"].as_str().unwrap_or_default());
        client.put_events().entries(entry.build()).send().await?;
    }
    Ok(Value::Null)
}

async fn audit(_: App, _: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
    Ok(Value::Null)
}

/// Records the calls of functions, and throttles the first `PutEvents`.
#[derive(Default)]
struct Calls(Mutex<Vec<String>>);

impl Interceptor for Calls {
    fn before(&self, call: &mut EngineCall) -> Fault {
        let mut calls = self.0.lock().unwrap();
        calls.push(call.operation.clone());
        let is_first = calls.iter().filter(|operation| *operation == "PutEvents").count() == 1;
        if call.operation == "PutEvents" && is_first { Fault::Throttled } else { Fault::None }
    }
}

/// A prefix that no other run has, because an emulator keeps its queues.
fn unique_prefix() -> String {
    format!("{:08x}-", Environment::system().random_below(1 << 32))
}

/// Starts a stack with the services in this process, or with those of the emulator that the environment names.
async fn start(calls: &Arc<Calls>, prefix: &str) -> Stack {
    let api = ApiDescription { version: "1", license: "MIT", description: "", token: "" };
    let example = ExampleRequest { operation: "none", body: "{}", caller: "ada", scopes: "" };
    let deployment = Deployment::new::<Library>("Library", PathBuf::new(), api, example, "none").unwrap();
    let deployment = deployment.handler("relay", UsedTables::None, relay).handler("audit", UsedTables::None, audit);
    let random = AtomicU64::new(1);
    let environment = Environment::new(
        || "2026-11-22T10:00:00Z".parse::<Timestamp>().unwrap(),
        move || u128::from(random.fetch_add(1, Ordering::SeqCst)).to_be_bytes(),
    );
    let emulator = MessagingEmulator::from_variables(|name| std::env::var(name).ok()).unwrap();
    let engine = Engine::embedded().unwrap().with_interceptor(calls.clone()).with_messaging(emulator);
    let template = Template::parse(TEMPLATE).unwrap();
    Stack::start(deployment, template, engine, Authorizer::new().unwrap(), environment, prefix).await.unwrap()
}

#[tokio::test]
async fn a_message_goes_through_a_function_the_bus_and_a_rule_to_another_queue() {
    let calls = Arc::<Calls>::default();
    let stack = start(&calls, &unique_prefix()).await;
    let url = |id| stack.queue(id).unwrap().url.clone();
    stack.sqs().send_message().queue_url(url("Requests")).message_body("{\"days\":14}").send().await.unwrap();
    let mut mappings = stack.queue_mappings();
    assert_eq!(mappings[0].drain().await.unwrap(), 1);
    let answers = stack.sqs().receive_message().queue_url(url("Answers")).send().await.unwrap();
    // An emulator may write the same JSON with other spaces.
    let answers = answers.messages().iter().filter_map(|message| message.body());
    let answers: Vec<Value> = answers.map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(answers, [json!({ "days": 14 })]);
    assert_eq!(mappings[0].step().await.unwrap(), QueueStep::Idle);
    let put = calls.0.lock().unwrap().iter().filter(|operation| *operation == "PutEvents").count();
    assert_eq!(put, 2, "the SDK repeats the throttled call");
}

#[tokio::test]
async fn functions_get_the_names_and_urls_of_the_stack() {
    let stack = start(&Arc::default(), "test-").await;
    let variable = |name| stack.app.aws.variable(name).unwrap();
    let answers = stack.queue("Answers").unwrap();
    assert_eq!((variable("EVENT_BUS").as_str(), &variable("ANSWERS")), ("test-Bus", &answers.url));
    assert!(answers.url.ends_with("/000000000000/test-Answers"), "{}", answers.url);
    assert_eq!(stack.app.tables.get("events").unwrap().as_ref(), "test-EventsTable");
}

#[tokio::test]
async fn a_stream_has_a_mapping_for_each_of_its_readers() {
    let stack = start(&Arc::default(), "").await;
    let names: Vec<_> = stack.event_source_mappings().iter().map(|mapping| mapping.name().to_owned()).collect();
    assert_eq!(names, ["audit", "relay"]);
    assert_eq!(stack.queue_mappings()[0].queue(), "Requests");
    assert_eq!(json!(stack.messaging.queue_names()), json!(["Answers", "Requests"]));
}
