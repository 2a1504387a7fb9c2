//! An SQS queue, as the receiver of messages.

use app::{App, settings::SettingError};
use aws_sdk_sqs::{
    Client, Config,
    error::{ProvideErrorMetadata, SdkError},
    operation::send_message::SendMessageError,
    types::MessageAttributeValue,
};
use cqrs_dynamodb::Dynamo;

/// The characters of an attribute that are sent. The limit of SQS is the size of the whole message.
const MAX_ATTRIBUTE: usize = 16 * 1024;

/// Sends messages to one queue.
#[derive(Clone, Debug)]
pub struct QueueClient {
    client: Client,
    /// Clock, randomness and the invocation's deadline.
    dynamo: Dynamo,
    url: String,
}

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewMessage {
    pub body: String,
    /// Texts by their names. An empty text is not sent, because SQS refuses it.
    pub attributes: Vec<(&'static str, String)>,
    /// The message group in a FIFO queue. Another queue ignores it.
    pub group: String,
    /// The id by which a FIFO queue recognizes a repeat. Another queue ignores it.
    pub deduplication_id: String,
}

/// A message that was not sent, or whose sending was not confirmed.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take a message")]
pub struct NotSent(#[source] Box<dyn std::error::Error + Send + Sync>);

impl QueueClient {
    /// Builds the client of the queue whose URL is in an environment variable.
    ///
    /// # Errors
    /// The variable, if it is not set.
    pub fn new(app: &App, variable: &str) -> Result<Self, SettingError> {
        let config = Config::from(&app.aws.client_config("SQS", Dynamo::retries()));
        Ok(Self { client: Client::from_conf(config), dynamo: app.dynamo.clone(), url: app.aws.variable(variable)? })
    }

    /// Sends a message. A repeat after a lost response may send it twice.
    ///
    /// # Errors
    /// [`NotSent`] after all attempts, or if no time is left before the deadline.
    pub async fn send(&self, message: &NewMessage) -> Result<(), NotSent> {
        let timeouts = self.dynamo.timeouts().map_err(|error| NotSent(error.into()))?;
        let mut call = self.client.send_message().queue_url(&self.url).message_body(&message.body);
        for (name, text) in message.attributes.iter().filter(|(_, text)| !text.is_empty()) {
            let value = MessageAttributeValue::builder().data_type("String").string_value(allowed(text));
            call = call.message_attributes(*name, value.build().map_err(|error| NotSent(error.into()))?);
        }
        if self.url.ends_with(".fifo") {
            call = call.message_group_id(&message.group).message_deduplication_id(&message.deduplication_id);
        }
        let call = call.customize().config_override(Config::builder().timeout_config(timeouts));
        call.send().await.map(drop).map_err(not_sent)
    }
}

/// Keeps only the code of an error of the service, because its message may quote the sent one.
fn not_sent(error: SdkError<SendMessageError>) -> NotSent {
    match error.as_service_error().and_then(|error| error.code()) {
        Some(code) => NotSent(code.into()),
        None => NotSent(error.into()),
    }
}

/// Returns the beginning of a text, with a replacement for each character that SQS refuses (Amazon SQS API Reference,
/// `SendMessage`).
fn allowed(text: &str) -> String {
    let allowed = |character| match character {
        '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => character,
        _ => char::REPLACEMENT_CHARACTER,
    };
    text.chars().take(MAX_ATTRIBUTE).map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_only_characters_that_sqs_accepts() {
        assert_eq!(
            allowed("a\t\u{0}\u{b}\u{1f}é\u{d7ff}\u{fffe}\u{ffff}😀"),
            "a\t\u{fffd}\u{fffd}\u{fffd}é\u{d7ff}\u{fffd}\u{fffd}😀"
        );
        assert_eq!(allowed(&"é".repeat(MAX_ATTRIBUTE + 1)).chars().count(), MAX_ATTRIBUTE);
    }
}
