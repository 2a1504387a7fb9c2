//! Queues, rules and references to them in the template.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Template,
    node::{Node, Parameters},
};
use crate::messaging::{
    event_bus::RuleTarget,
    event_pattern::EventPattern,
    queue::{QueueDefinition, RedrivePolicy},
    target_input::{EventPath, InputTemplate, TargetInput},
};

/// A rule of an event bus.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleDefinition {
    /// The logical id of the bus, or `default`.
    pub bus: String,
    pub pattern: EventPattern,
    /// With logical ids of queues.
    pub targets: Vec<RuleTarget>,
}

/// Reads a queue, with the defaults of `AWS::SQS::Queue`.
pub(super) fn queue(queue: Option<&Node<'_>>, parameters: &Parameters<'_>) -> Result<QueueDefinition, String> {
    let mut definition = QueueDefinition::default();
    let Some(queue) = queue else { return Ok(definition) };
    let seconds = |name: &str, default: Duration| {
        queue.get(name).map_or(Ok(default), |node| number(&node, parameters).map(Duration::from_secs))
    };
    definition.visibility_timeout = seconds("VisibilityTimeout", definition.visibility_timeout)?;
    definition.retention = seconds("MessageRetentionPeriod", definition.retention)?;
    definition.delay = seconds("DelaySeconds", definition.delay)?;
    definition.fifo = queue.get("FifoQueue").is_some_and(|node| node.is_true());
    definition.content_based_deduplication = queue.get("ContentBasedDeduplication").is_some_and(|node| node.is_true());
    definition.redrive = queue.get("RedrivePolicy").map(|policy| redrive(&policy, parameters)).transpose()?;
    Ok(definition)
}

/// Reads a rule. `None` if it is disabled.
pub(super) fn rule(rule: &Node<'_>, parameters: &Parameters<'_>) -> Result<Option<RuleDefinition>, String> {
    if rule.get("State").map(|state| state.text_with(parameters)).transpose()?.as_deref() == Some("DISABLED") {
        return Ok(None);
    }
    if let Some(schedule) = rule.get("ScheduleExpression") {
        return Err(format!("{}: the local stack does not support rules with a schedule", schedule.path));
    }
    let pattern = rule.need("EventPattern")?;
    let parsed = EventPattern::parse(&pattern.json(parameters)?);
    let targets = rule.get("Targets");
    Ok(Some(RuleDefinition {
        bus: rule.get("EventBusName").map_or(Ok("default".to_owned()), |bus| bus.text_with(parameters))?,
        pattern: parsed.map_err(|reason| format!("{}: {reason}", pattern.path))?,
        targets: targets.map_or(Ok(Vec::new()), |targets| targets.list(|node| target(node, parameters)))?,
    }))
}

/// Checks that all buses and queues exist that rules, redrive policies and functions name.
pub(super) fn check_references(template: &Template) -> Result<(), String> {
    let has_queue = |id: &String| template.queues.contains_key(id);
    for (id, rule) in &template.rules {
        if rule.bus != "default" && !template.event_buses.contains(&rule.bus) {
            return Err(format!("/Resources/{id}: the template has no event bus {}", rule.bus));
        }
        if let Some(target) = rule.targets.iter().find(|target| !has_queue(&target.queue)) {
            return Err(format!(
                "/Resources/{id}: the local stack supports only queues as targets, not {}",
                target.queue
            ));
        }
    }
    for (id, queue) in &template.queues {
        let Some(redrive) = &queue.redrive else { continue };
        match template.queues.get(&redrive.dead_letters) {
            None => return Err(format!("/Resources/{id}: the template has no queue {}", redrive.dead_letters)),
            Some(dead_letters) if dead_letters.fifo != queue.fifo => {
                return Err(format!("/Resources/{id}: a queue and its dead-letter queue must be of the same type"));
            }
            Some(_) => {}
        }
    }
    let mappings = template.functions.values().flat_map(|function| &function.queue_mappings);
    match mappings.map(|mapping| &mapping.queue).find(|queue| !has_queue(queue)) {
        Some(queue) => Err(format!("/Resources: a function has the queue {queue}, which is not in the template")),
        None => Ok(()),
    }
}

fn redrive(policy: &Node<'_>, parameters: &Parameters<'_>) -> Result<RedrivePolicy, String> {
    let max_receives = number(&policy.need("maxReceiveCount")?, parameters)?;
    Ok(RedrivePolicy {
        dead_letters: id_in(&policy.need("deadLetterTargetArn")?.text()?),
        max_receives: u32::try_from(max_receives).unwrap_or(u32::MAX),
    })
}

fn target(target: &Node<'_>, parameters: &Parameters<'_>) -> Result<RuleTarget, String> {
    let describe = |node: &Node<'_>, reason: String| format!("{}: {reason}", node.path);
    let input = match (target.get("Input"), target.get("InputPath"), target.get("InputTransformer")) {
        (None, None, None) => TargetInput::WholeEvent,
        (Some(input), None, None) => TargetInput::Fixed(input.text_with(parameters)?),
        (None, Some(path), None) => {
            TargetInput::Part(EventPath::parse(&path.text()?).map_err(|reason| describe(&path, reason))?)
        }
        (None, None, Some(transformer)) => {
            let paths = transformer.get("InputPathsMap");
            let paths = paths.iter().flat_map(Node::entries).map(|(name, path)| Ok((name, path.text()?)));
            let paths = paths.collect::<Result<BTreeMap<_, _>, String>>()?;
            let template = InputTemplate::new(transformer.need("InputTemplate")?.text()?, &paths);
            TargetInput::Transformed(template.map_err(|reason| describe(&transformer, reason))?)
        }
        _ => return Err(describe(target, "has more than one of Input, InputPath and InputTransformer".to_owned())),
    };
    let group = target.get("SqsParameters").map(|parameters| parameters.need("MessageGroupId")?.text());
    Ok(RuleTarget { queue: id_in(&target.need("Arn")?.text()?), input, message_group: group.transpose()? })
}

/// The logical id in a reference to an ARN.
fn id_in(reference: &str) -> String {
    reference.strip_suffix(".Arn").unwrap_or(reference).to_owned()
}

fn number(node: &Node<'_>, parameters: &Parameters<'_>) -> Result<u64, String> {
    node.text_with(parameters)?.parse().map_err(|_| format!("{}: must be a whole number", node.path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::QueueMappingDefinition, *};

    const TEMPLATE: &str = r#"
Parameters:
  Source: { Type: String, Default: library }
  Receives: { Type: Number, Default: 4 }
Resources:
  Bus: { Type: AWS::Events::EventBus, Properties: { Name: any } }
  Timers: { Type: AWS::Scheduler::ScheduleGroup }
  Dead: { Type: AWS::SQS::Queue }
  Signals:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      MessageRetentionPeriod: 1209600
      DelaySeconds: 1
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: !Ref Receives }
  Fifo:
    Type: AWS::SQS::Queue
    Properties: { FifoQueue: true, ContentBasedDeduplication: true }
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Bus
      EventPattern: { source: [!Ref Source], detail: { days: [{ numeric: [">", 0] }] } }
      Targets:
        - { Id: plain, Arn: !GetAtt Signals.Arn }
        - Id: transformed
          Arn: !GetAtt Fifo.Arn
          SqsParameters: { MessageGroupId: loans }
          InputTransformer: { InputPathsMap: { days: $.detail.days }, InputTemplate: '{"days": <days>}' }
  Disabled:
    Type: AWS::Events::Rule
    Properties: { State: DISABLED, EventPattern: { source: [{ suffix: x }] } }
  Function:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: signals } }
    Properties:
      Environment: { Variables: { BUS: !Ref Bus, SOURCE: !Ref Source, TARGET: !GetAtt Signals.Arn } }
      Events:
        Signals:
          Type: SQS
          Properties:
            Queue: !GetAtt Signals.Arn
            BatchSize: 5
            MaximumBatchingWindowInSeconds: 2
            FunctionResponseTypes: [ReportBatchItemFailures]
            ScalingConfig: { MaximumConcurrency: 3 }
        Fifo: { Type: SQS, Properties: { Queue: !GetAtt Fifo.Arn } }
"#;

    #[test]
    fn queues_have_their_properties_and_the_defaults_of_sqs() {
        let template = Template::parse(TEMPLATE).unwrap();
        assert_eq!(template.queues["Dead"], QueueDefinition::default());
        let redrive = RedrivePolicy { dead_letters: "Dead".to_owned(), max_receives: 4 };
        let expected = QueueDefinition {
            visibility_timeout: Duration::from_secs(60),
            retention: Duration::from_secs(1_209_600),
            delay: Duration::from_secs(1),
            redrive: Some(redrive),
            ..QueueDefinition::default()
        };
        assert_eq!(template.queues["Signals"], expected);
        assert!(template.queues["Fifo"].fifo && template.queues["Fifo"].content_based_deduplication);
        assert!(template.event_buses.contains("Bus") && template.schedule_groups.contains("Timers"));
    }

    #[test]
    fn a_rule_has_a_pattern_and_targets() {
        let template = Template::parse(TEMPLATE).unwrap();
        assert!(!template.rules.contains_key("Disabled"));
        let rule = &template.rules["Rule"];
        let event = |source: &str, days: i64| json!({ "source": source, "detail": { "days": days } });
        assert!(rule.pattern.matches(&event("library", 1)));
        assert!(!rule.pattern.matches(&event("library", 0)) && !rule.pattern.matches(&event("Source", 1)));
        let inputs: Vec<_> = rule.targets.iter().map(|target| target.input.of(&event("library", 3))).collect();
        assert_eq!(inputs, [event("library", 3).to_string(), "{\"days\": 3}".to_owned()]);
        let queues: Vec<_> = rule.targets.iter().map(|target| target.queue.as_str()).collect();
        assert_eq!((rule.bus.as_str(), queues), ("Bus", vec!["Signals", "Fifo"]));
        assert_eq!(rule.targets[1].message_group.as_deref(), Some("loans"));
    }

    #[test]
    fn a_function_has_mappings_from_queues_and_variables_with_references() {
        let function = Template::parse(TEMPLATE).unwrap().functions.remove("signals").unwrap();
        let [fifo, signals] = &function.queue_mappings[..] else { panic!("{:?}", function.queue_mappings) };
        let (fifo, signals) = if fifo.queue == "Fifo" { (fifo, signals) } else { (signals, fifo) };
        let expected = QueueMappingDefinition {
            queue: "Signals".to_owned(),
            batch_size: 5,
            window: Duration::from_secs(2),
            reports_failures: true,
            max_concurrency: Some(3),
        };
        assert_eq!(signals, &expected);
        assert_eq!((fifo.batch_size, fifo.reports_failures, fifo.max_concurrency), (10, false, None));
        let variables: Vec<_> = function.environment.values().map(String::as_str).collect();
        assert_eq!(variables, ["Bus", "library", "Signals.Arn"]);
    }

    #[test]
    fn a_template_that_cannot_be_emulated_is_an_error_with_its_path() {
        for (from, to, error) in [
            (
                "EventBusName: !Ref Bus",
                "EventBusName: !Ref Buss",
                "/Resources/Rule: the template has no event bus Buss",
            ),
            ("Dead.Arn", "Deaf.Arn", "/Resources/Signals: the template has no queue Deaf"),
            ("Dead.Arn", "Fifo.Arn", "/Resources/Signals: a queue and its dead-letter queue must be of the same type"),
            (
                "plain, Arn: !GetAtt Signals.Arn",
                "plain, Arn: !GetAtt Function.Arn",
                "/Resources/Rule: the local stack supports only queues as targets, not Function",
            ),
            (
                "Queue: !GetAtt Signals.Arn",
                "Queue: !GetAtt Other.Arn",
                "/Resources: a function has the queue Other, which is not in the template",
            ),
            (
                "{ numeric: [\">\", 0] }",
                "{ cidr: 10.0.0.0/24 }",
                "/Resources/Rule/Properties/EventPattern: detail.days: the local stack does not support the operator \
                 cidr with \"10.0.0.0/24\"",
            ),
            (
                "<days>",
                "<day>",
                "/Resources/Rule/Properties/Targets/1/InputTransformer: the placeholder <day> is not in InputPathsMap",
            ),
            (
                "VisibilityTimeout: 60",
                "VisibilityTimeout: long",
                "/Resources/Signals/Properties/VisibilityTimeout: must be a whole number",
            ),
        ] {
            assert!(TEMPLATE.contains(from), "{from}");
            let parsed = Template::parse(&TEMPLATE.replace(from, to));
            assert_eq!(parsed.unwrap_err(), error, "{to}");
        }
    }
}
