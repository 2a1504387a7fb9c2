//! EventBridge, SQS and EventBridge Scheduler of an emulator, instead of those in this process.

use std::{collections::BTreeMap, error::Error};

use app::client;
use aws_sdk_sqs::{
    config::{BehaviorVersion, Credentials, Region, SharedHttpClient},
    error::{DisplayErrorContext, ProvideErrorMetadata},
    types::QueueAttributeName,
};
use aws_smithy_http_client::tls::TrustStore;
use serde_json::json;

use super::{REGION, event_bus::RuleTarget, queue::QueueDefinition, resources::queue_name, target_input::TargetInput};
use crate::{Template, queue_mapping::QueueAddress, template::RuleDefinition};

/// The environment variables with the endpoints of the services.
const EVENTBRIDGE: &str = "AWS_ENDPOINT_URL_EVENTBRIDGE";
const SCHEDULER: &str = "AWS_ENDPOINT_URL_SCHEDULER";
const SQS: &str = "AWS_ENDPOINT_URL_SQS";

/// The endpoints of the three services, and their clients.
#[derive(Clone, Debug)]
pub struct MessagingEmulator {
    endpoints: BTreeMap<&'static str, String>,
    events: aws_sdk_eventbridge::Client,
    scheduler: aws_sdk_scheduler::Client,
    sqs: aws_sdk_sqs::Client,
}

/// The client of a service at an endpoint.
macro_rules! client_at {
    ($sdk:ident, $endpoint:expr) => {
        $sdk::Client::from_conf(
            $sdk::Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::new(REGION))
                .credentials_provider(Credentials::new("local", "local", None, None, "local"))
                .endpoint_url($endpoint)
                .http_client(transport())
                .build(),
        )
    };
}

impl MessagingEmulator {
    /// The emulator that the environment variables name. `None` if none of them is set.
    ///
    /// # Errors
    /// Fails if only some of the variables are set: an event would otherwise go to the emulator, and its rule's queue
    /// would be in this process.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let value = |name| variable(name).filter(|url| !url.is_empty());
        match [EVENTBRIDGE, SCHEDULER, SQS].map(value) {
            [None, None, None] => Ok(None),
            [Some(events), Some(scheduler), Some(sqs)] => Ok(Some(Self {
                events: client_at!(aws_sdk_eventbridge, &events),
                scheduler: client_at!(aws_sdk_scheduler, &scheduler),
                sqs: client_at!(aws_sdk_sqs, &sqs),
                endpoints: BTreeMap::from([(EVENTBRIDGE, events), (SCHEDULER, scheduler), (SQS, sqs)]),
            })),
            _ => Err(format!("set all of {EVENTBRIDGE}, {SCHEDULER} and {SQS}, or none of them")),
        }
    }

    /// The value of one of the environment variables with an endpoint.
    pub fn endpoint(&self, variable: &str) -> Option<&str> {
        self.endpoints.get(variable).map(String::as_str)
    }

    /// An SQS client for the emulator.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        self.sqs.clone()
    }

    /// Creates the buses, queues, rules and schedule groups of `template`, unless they exist. Names are logical ids with
    /// `prefix`. Returns the addresses of the queues by logical id.
    ///
    /// # Errors
    /// Fails if a resource cannot be created.
    pub async fn create(&self, template: &Template, prefix: &str) -> Result<BTreeMap<String, QueueAddress>, String> {
        for id in &template.event_buses {
            let create = self.events.create_event_bus().name(format!("{prefix}{id}")).send().await;
            unless_it_exists(create.map(drop), "ResourceAlreadyExistsException", id)?;
        }
        for id in &template.schedule_groups {
            let create = self.scheduler.create_schedule_group().name(format!("{prefix}{id}")).send().await;
            unless_it_exists(create.map(drop), "ConflictException", id)?;
        }
        let mut queues = BTreeMap::new();
        // A dead-letter queue is created before the queues that name it.
        let (with, without): (Vec<_>, Vec<_>) = template.queues.iter().partition(|(_, queue)| queue.redrive.is_some());
        for (id, definition) in without.into_iter().chain(with) {
            let address = self.create_queue(&queue_name(template, prefix, id), definition, &queues).await;
            queues.insert(id.clone(), address.map_err(|reason| format!("{id}: {reason}"))?);
        }
        for (id, rule) in &template.rules {
            let bus = if template.event_buses.contains(&rule.bus) {
                format!("{prefix}{}", rule.bus)
            } else {
                rule.bus.clone()
            };
            let created = self.create_rule(&format!("{prefix}{id}"), &bus, rule, &queues).await;
            created.map_err(|reason| format!("{id}: {reason}"))?;
        }
        Ok(queues)
    }

    async fn create_queue(
        &self,
        name: &str,
        definition: &QueueDefinition,
        queues: &BTreeMap<String, QueueAddress>,
    ) -> Result<QueueAddress, String> {
        let seconds = |duration: std::time::Duration| duration.as_secs().to_string();
        let mut create = self
            .sqs
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::VisibilityTimeout, seconds(definition.visibility_timeout))
            .attributes(QueueAttributeName::MessageRetentionPeriod, seconds(definition.retention))
            .attributes(QueueAttributeName::DelaySeconds, seconds(definition.delay));
        if definition.fifo {
            let by_content = definition.content_based_deduplication.to_string();
            create = create.attributes(QueueAttributeName::FifoQueue, "true");
            create = create.attributes(QueueAttributeName::ContentBasedDeduplication, by_content);
        }
        if let Some(redrive) = &definition.redrive {
            let target = queues.get(&redrive.dead_letters).ok_or("its dead-letter queue has one of its own")?;
            let policy = json!({ "deadLetterTargetArn": target.arn, "maxReceiveCount": redrive.max_receives });
            create = create.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
        }
        let created = create.send().await.map_err(describe)?;
        let url = created.queue_url.unwrap_or_default();
        let attributes = self.sqs.get_queue_attributes().queue_url(&url);
        let attributes = attributes.attribute_names(QueueAttributeName::QueueArn).send().await.map_err(describe)?;
        let mut attributes = attributes.attributes.unwrap_or_default();
        let arn = attributes.remove(&QueueAttributeName::QueueArn).ok_or("the emulator gives it no ARN")?;
        Ok(QueueAddress { url, arn })
    }

    async fn create_rule(
        &self,
        name: &str,
        bus: &str,
        rule: &RuleDefinition,
        queues: &BTreeMap<String, QueueAddress>,
    ) -> Result<(), String> {
        let put = self.events.put_rule().name(name).event_bus_name(bus).event_pattern(rule.pattern.to_string());
        put.send().await.map_err(describe)?;
        let mut put = self.events.put_targets().rule(name).event_bus_name(bus);
        for (number, target) in rule.targets.iter().enumerate() {
            let address = queues.get(&target.queue).ok_or("a target is no queue")?;
            put = put.targets(target_of(number, address, target)?);
        }
        let put = put.send().await.map_err(describe)?;
        match put.failed_entries().first() {
            Some(failed) => Err(failed.error_message().unwrap_or("a target was refused").to_owned()),
            None => Ok(()),
        }
    }
}

fn target_of(
    number: usize,
    address: &QueueAddress,
    target: &RuleTarget,
) -> Result<aws_sdk_eventbridge::types::Target, String> {
    use aws_sdk_eventbridge::types::{InputTransformer, SqsParameters, Target};
    let mut built = Target::builder().id(number.to_string()).arn(&address.arn);
    if let Some(group) = &target.message_group {
        built = built.sqs_parameters(SqsParameters::builder().message_group_id(group).build());
    }
    built = match &target.input {
        TargetInput::WholeEvent => built,
        TargetInput::Fixed(text) => built.input(text),
        TargetInput::Part(path) => built.input_path(path.to_string()),
        TargetInput::Transformed(template) => {
            let mut transformer = InputTransformer::builder().input_template(template.template());
            for (name, path) in template.paths() {
                transformer = transformer.input_paths_map(name, path.to_string());
            }
            built.input_transformer(transformer.build().map_err(|error| error.to_string())?)
        }
    };
    built.build().map_err(|error| error.to_string())
}

/// An HTTP client for the endpoint of an emulator.
pub(crate) fn transport() -> SharedHttpClient {
    client::https(TrustStore::default())
}

fn unless_it_exists<E: ProvideErrorMetadata + Error>(
    created: Result<(), E>,
    exists: &str,
    id: &str,
) -> Result<(), String> {
    match created {
        Err(error) if error.code() != Some(exists) => Err(format!("{id}: {}", DisplayErrorContext(error))),
        _ => Ok(()),
    }
}

fn describe(error: impl Error) -> String {
    DisplayErrorContext(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_endpoints_are_set_or_none() {
        let read = |set: &'static [&str]| {
            let variable = move |name: &str| set.contains(&name).then(|| "http://localhost:4566".to_owned());
            MessagingEmulator::from_variables(variable)
        };
        assert!(read(&[]).unwrap().is_none());
        let emulator = read(&[EVENTBRIDGE, SCHEDULER, SQS]).unwrap().unwrap();
        assert_eq!(emulator.endpoint(SQS), Some("http://localhost:4566"));
        assert_eq!(emulator.endpoint("AWS_ENDPOINT_URL_DYNAMODB"), None);
        let error = read(&[SQS]).unwrap_err();
        assert!(error.starts_with("set all of AWS_ENDPOINT_URL_EVENTBRIDGE, "), "{error}");
    }
}
