//! The resources of a template, and the names by which functions find them.

use std::collections::BTreeMap;

use super::{
    ACCOUNT, MessagingResources,
    event_bus::{EventBuses, Rule, RuleTarget},
    queue::{QueueDefinition, RedrivePolicy},
    queues::{arn_of, url_of},
};
use crate::{Template, queue_mapping::QueueAddress};

impl MessagingResources {
    /// The buses, queues and schedule groups of `template`. Names are logical ids with `prefix`.
    pub fn of(template: &Template, prefix: &str) -> Self {
        let name = |id: &String| format!("{prefix}{id}");
        let queue = |id: &String| queue_name(template, prefix, id);
        let mut buses = EventBuses::new(template.event_buses.iter().map(name));
        for rule in template.rules.values() {
            let bus = if template.event_buses.contains(&rule.bus) { name(&rule.bus) } else { rule.bus.clone() };
            let targets =
                rule.targets.iter().map(|target| RuleTarget { queue: queue(&target.queue), ..target.clone() });
            buses.add_rule(&bus, Rule { pattern: rule.pattern.clone(), targets: targets.collect() });
        }
        let queues = template.queues.iter().map(|(id, definition)| {
            let redrive = definition.redrive.as_ref();
            let redrive =
                redrive.map(|redrive| RedrivePolicy { dead_letters: queue(&redrive.dead_letters), ..redrive.clone() });
            (queue(id), QueueDefinition { redrive, ..definition.clone() })
        });
        Self { buses, queues: queues.collect(), schedule_groups: template.schedule_groups.iter().map(name).collect() }
    }
}

/// The name of the queue with this logical id. The name of a FIFO queue ends with `.fifo`, as SQS requires.
pub fn queue_name(template: &Template, prefix: &str, id: &str) -> String {
    let is_fifo = template.queues.get(id).is_some_and(|queue| queue.fifo);
    format!("{prefix}{id}{}", if is_fifo { ".fifo" } else { "" })
}

/// The addresses of the queues in this process, by logical id.
pub fn addresses(template: &Template, prefix: &str) -> BTreeMap<String, QueueAddress> {
    let address = |id: &String| {
        let name = queue_name(template, prefix, id);
        (id.clone(), QueueAddress { url: url_of(&name), arn: arn_of(&name) })
    };
    template.queues.keys().map(address).collect()
}

/// Returns what CloudFormation passes to a function for a reference to a bus, a queue, a schedule group or a role. `None`
/// for any other text.
pub fn resolve(
    template: &Template,
    prefix: &str,
    queues: &BTreeMap<String, QueueAddress>,
    reference: &str,
) -> Option<String> {
    let (id, attribute) = reference.split_once('.').map_or((reference, None), |(id, name)| (id, Some(name)));
    let queue = queues.get(id);
    let is_named = template.event_buses.contains(id) || template.schedule_groups.contains(id);
    match attribute {
        None if queue.is_some() => queue.map(|queue| queue.url.clone()),
        None | Some("Name") if is_named => Some(format!("{prefix}{id}")),
        Some("Arn") if queue.is_some() => queue.map(|queue| queue.arn.clone()),
        Some("QueueName") if queue.is_some() => Some(queue_name(template, prefix, id)),
        Some("Arn") if template.roles.contains(id) => Some(format!("arn:aws:iam::{ACCOUNT}:role/{prefix}{id}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_functions_are_names_urls_and_arns() {
        let template = Template::parse(
            "
Resources:
  Bus: { Type: AWS::Events::EventBus }
  Timers: { Type: AWS::Scheduler::ScheduleGroup }
  Signals: { Type: AWS::SQS::Queue }
  Loans: { Type: AWS::SQS::Queue, Properties: { FifoQueue: true } }
  Role: { Type: AWS::IAM::Role }
",
        )
        .unwrap();
        for (reference, expected) in [
            ("Bus", Some("t-Bus")),
            ("Timers", Some("t-Timers")),
            ("Signals", Some("http://in-process/000000000000/t-Signals")),
            ("Signals.Arn", Some("arn:aws:sqs:local:000000000000:t-Signals")),
            ("Loans.QueueName", Some("t-Loans.fifo")),
            ("Role.Arn", Some("arn:aws:iam::000000000000:role/t-Role")),
            ("Role", None),
            ("Others", None),
            ("http://localhost:8000", None),
        ] {
            let queues = addresses(&template, "t-");
            assert_eq!(resolve(&template, "t-", &queues, reference).as_deref(), expected, "{reference}");
        }
    }
}
