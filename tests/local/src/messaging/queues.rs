//! The SQS API over the queues of an account.

mod answers;
mod batches;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    ACCOUNT, ENDPOINT, REGION,
    event_bus::RoutedMessage,
    queue::{OutgoingMessage, Queue, RedrivePolicy},
    service_error::ServiceError,
};

/// The prefix of the ARN of a queue.
const ARN_PREFIX: &str = "arn:aws:sqs:";

/// The queues by their names.
#[derive(Clone, Debug, Default)]
pub struct Queues(pub BTreeMap<String, Queue>);

/// The time of a call, and the random numbers for its ids.
pub struct CallContext<'a> {
    pub now: Timestamp,
    pub new_id: &'a mut dyn FnMut() -> Uuid,
}

impl Queues {
    /// Executes an operation of the API. Returns `None` if the local stack does not support it.
    pub fn execute(
        &mut self,
        operation: &str,
        request: &Value,
        context: &mut CallContext<'_>,
    ) -> Option<Result<Value, ServiceError>> {
        Some(match operation {
            "SendMessage" => self.send(request, context),
            "SendMessageBatch" => self.send_batch(request, context),
            "ReceiveMessage" => self.receive(request, context),
            "DeleteMessage" => self.delete(request, context),
            "DeleteMessageBatch" => self.delete_batch(request, context),
            "ChangeMessageVisibility" => self.change_visibility(request, context),
            "ChangeMessageVisibilityBatch" => self.change_visibility_batch(request, context),
            "PurgeQueue" => self.find(request).map(|(_, queue)| {
                queue.purge();
                json!({})
            }),
            "GetQueueUrl" => self.url(request),
            "GetQueueAttributes" => self.attributes(request, context.now),
            "ListQueues" => Ok(json!({ "QueueUrls": self.0.keys().map(|name| url_of(name)).collect::<Vec<_>>() })),
            _ => return None,
        })
    }

    /// Sends a message of a rule or a schedule.
    ///
    /// # Errors
    /// Fails if the queue does not exist or does not accept the message.
    pub fn send_routed(&mut self, message: RoutedMessage, context: &mut CallContext<'_>) -> Result<(), ServiceError> {
        let RoutedMessage { queue: name, body, message_group: group, deduplication_id } = message;
        let queue = self.0.get_mut(&name).ok_or_else(|| does_not_exist(&name))?;
        let deduplication_id = Some(deduplication_id).filter(|_| queue.definition.fifo);
        let message = OutgoingMessage { body, group, deduplication_id, ..OutgoingMessage::default() };
        queue.send(message, (context.new_id)(), context.now).map(drop)
    }

    /// Deletes the messages that are older than the retention periods.
    pub fn expire(&mut self, now: Timestamp) {
        self.0.values_mut().for_each(|queue| queue.expire(now));
    }

    fn send(&mut self, request: &Value, context: &mut CallContext<'_>) -> Result<Value, ServiceError> {
        let (_, queue) = self.find(request)?;
        let message = outgoing(request)?;
        let digests = answers::digests(&message);
        let sent = queue.send(message, (context.new_id)(), context.now)?;
        Ok(answers::sent(&sent, digests, queue.definition.fifo))
    }

    fn receive(&mut self, request: &Value, context: &mut CallContext<'_>) -> Result<Value, ServiceError> {
        let (name, queue) = self.find(request)?;
        let max = request["MaxNumberOfMessages"].as_u64().unwrap_or(1);
        if !(1..=10).contains(&max) {
            return Err(invalid("MaxNumberOfMessages must be 1 to 10"));
        }
        let timeout = seconds(request, "VisibilityTimeout")?;
        let mut receipt = || (context.new_id)().to_string();
        let result = queue.receive(usize::try_from(max).unwrap_or(1), timeout, context.now, &mut receipt);
        let fifo = queue.definition.fifo;
        let messages: Vec<_> =
            result.received.iter().map(|received| answers::received(received, request, fifo)).collect();
        if let Some(RedrivePolicy { dead_letters, .. }) =
            self.0.get(&name).and_then(|queue| queue.definition.redrive.clone())
        {
            let mut target = self.0.get_mut(&dead_letters);
            for message in result.dead {
                if let Some(target) = &mut target {
                    target.add_dead(message, context.now);
                }
            }
        }
        Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
    }

    fn delete(&mut self, request: &Value, context: &mut CallContext<'_>) -> Result<Value, ServiceError> {
        let (_, queue) = self.find(request)?;
        queue.delete(text(request, "ReceiptHandle")?, context.now)?;
        Ok(json!({}))
    }

    fn change_visibility(&mut self, request: &Value, context: &mut CallContext<'_>) -> Result<Value, ServiceError> {
        let (_, queue) = self.find(request)?;
        let timeout = seconds(request, "VisibilityTimeout")?.ok_or_else(|| missing("VisibilityTimeout"))?;
        queue.change_visibility(text(request, "ReceiptHandle")?, timeout, context.now)?;
        Ok(json!({}))
    }

    fn url(&self, request: &Value) -> Result<Value, ServiceError> {
        let name = text(request, "QueueName")?;
        if !self.0.contains_key(name) {
            return Err(does_not_exist(name));
        }
        Ok(json!({ "QueueUrl": url_of(name) }))
    }

    fn attributes(&mut self, request: &Value, now: Timestamp) -> Result<Value, ServiceError> {
        let (name, queue) = self.find(request)?;
        let wanted = answers::names(request, "AttributeNames");
        let attributes = answers::queue_attributes(&name, queue, now);
        let is_wanted = |name: &String| wanted.iter().any(|wanted| *wanted == "All" || wanted == name);
        let attributes: Map<_, _> = attributes.into_iter().filter(|(name, _)| is_wanted(name)).collect();
        Ok(json!({ "Attributes": attributes }))
    }

    /// Returns the queue of a request. A URL ends with the name of its queue.
    fn find(&mut self, request: &Value) -> Result<(String, &mut Queue), ServiceError> {
        let url = text(request, "QueueUrl")?;
        let name = url.rsplit('/').next().unwrap_or_default();
        self.0.get_mut(name).map(|queue| (name.to_owned(), queue)).ok_or_else(|| does_not_exist(name))
    }
}

/// The URL of a queue. Requests do not go there, but to the endpoint of the SDK's configuration.
pub fn url_of(name: &str) -> String {
    format!("{ENDPOINT}/{ACCOUNT}/{name}")
}

/// The ARN of a queue.
pub fn arn_of(name: &str) -> String {
    format!("{ARN_PREFIX}{REGION}:{ACCOUNT}:{name}")
}

/// Returns the name of the queue with this ARN.
pub fn name_in(arn: &str) -> Option<&str> {
    arn.strip_prefix(ARN_PREFIX)?.rsplit(':').next()
}

fn outgoing(request: &Value) -> Result<OutgoingMessage, ServiceError> {
    let optional = |name: &str| request[name].as_str().map(str::to_owned);
    Ok(OutgoingMessage {
        body: request["MessageBody"].as_str().unwrap_or_default().to_owned(),
        attributes: request["MessageAttributes"].as_object().cloned().unwrap_or_default(),
        delay: seconds(request, "DelaySeconds")?,
        group: optional("MessageGroupId"),
        deduplication_id: optional("MessageDeduplicationId"),
    })
}

fn seconds(request: &Value, name: &str) -> Result<Option<Duration>, ServiceError> {
    match &request[name] {
        Value::Null => Ok(None),
        value => {
            let seconds = value.as_u64().ok_or_else(|| invalid(&format!("{name} must be a number of seconds")))?;
            Ok(Some(Duration::from_secs(seconds)))
        }
    }
}

fn text<'a>(request: &'a Value, name: &str) -> Result<&'a str, ServiceError> {
    request[name].as_str().ok_or_else(|| missing(name))
}

fn missing(name: &str) -> ServiceError {
    ServiceError::new("MissingParameter", format!("The request must contain the parameter {name}."))
}

fn invalid(reason: &str) -> ServiceError {
    ServiceError::new("InvalidParameterValue", reason)
}

fn does_not_exist(name: &str) -> ServiceError {
    ServiceError::new("AWS.SimpleQueueService.NonExistentQueue", format!("The specified queue {name} does not exist."))
}
