//! Reads the body of a message to a command. The reading is as strict as that of a request.

use std::{fmt, marker::PhantomData};

use app::{
    Caller, Problem,
    command::{
        CommandDocument, CommandExecutor, CommandOptions, CommandTarget, FieldValidation, JsonObject, WholeNumber,
        strict_json,
    },
    parameters::MAX_VERSION,
    problem::FieldError,
};
use cqrs::{Aggregate, Event, StreamId, Version};
use cqrs_dynamodb::Executed;
use futures_util::future::BoxFuture;
use http::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
};

const TYPE: &str = "type";
const IDEMPOTENCY_KEY: &str = "idempotency_key";
const EXPECTED_VERSION: &str = "expected_version";
const DATA: &str = "data";

/// A kind of command that a queue accepts.
pub(super) struct AcceptedCommand {
    /// The `type` of its messages, such as `ship-order`.
    pub(super) message_type: String,
    /// The type of the event that reports a rejection, such as `order.ship-rejected`.
    pub(super) rejection_type: String,
    /// The field with the key of the instance, such as `order_id`.
    pub(super) key_name: String,
    read: fn(&str, &Caller) -> Result<ReadCommand, Problem>,
}

/// A command that was read from a message.
pub(super) struct ReadCommand {
    /// The instance that the message names.
    pub(super) stream: Option<StreamId>,
    /// The idempotency key of the message.
    pub(super) key: Option<String>,
    pub(super) expected_version: Option<Version>,
    pub(super) execute: Execute,
}

/// Executes a command once.
pub(super) type Execute =
    Box<dyn for<'a> FnOnce(&'a CommandExecutor<'a>) -> BoxFuture<'a, Result<Executed, Problem>> + Send>;

impl AcceptedCommand {
    pub(super) fn of<D: CommandDocument>() -> Self {
        let category = <D::Aggregate as Aggregate>::Event::CATEGORY;
        Self {
            message_type: format!("{}-{category}", D::NAME),
            rejection_type: format!("{category}.{}-rejected", D::NAME),
            key_name: key_name::<D>(),
            read: read::<D>,
        }
    }

    /// Finds the kind of a message, and reads the message.
    ///
    /// # Errors
    /// 413, 400 or 422 if the message is malformed.
    pub(super) fn read<'c>(
        commands: &'c [Self],
        body: &str,
        caller: &Caller,
    ) -> Result<(&'c Self, ReadCommand), Problem> {
        let MessageType { message_type } = strict_json::parse(body.as_bytes())?;
        let command = commands.iter().find(|command| command.message_type == message_type).ok_or_else(|| {
            let known: Vec<&str> = commands.iter().map(|command| command.message_type.as_str()).collect();
            let detail = format!("must be one of: {}", known.join(", "));
            Problem::invalid(vec![FieldError { pointer: format!("/{TYPE}"), detail }])
        })?;
        Ok((command, (command.read)(body, caller)?))
    }
}

/// The first reading of a message, which finds its type and ignores all other fields.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct MessageType {
    #[serde(rename = "type")]
    message_type: String,
}

fn key_name<D: CommandDocument>() -> String {
    <D::Aggregate as Aggregate>::Event::key_name()
}

/// Reads the message of a command whose document is `D`.
fn read<D: CommandDocument>(body: &str, caller: &Caller) -> Result<ReadCommand, Problem> {
    let message: CommandMessage<D> = strict_json::parse(body.as_bytes())?;
    let mut fields = FieldValidation::default();
    let named = message.instance.map(|text| instance::<D>(&text));
    let named = named.and_then(|key| fields.check(format!("/{}", key_name::<D>()), key));
    let key = message.idempotency_key.map(|key| {
        let is_key = CommandOptions::is_key(&key);
        fields.check(
            format!("/{IDEMPOTENCY_KEY}"),
            is_key.then_some(key).ok_or("must be 1 to 255 visible ASCII characters"),
        )
    });
    let expected_version = message.expected_version.map(|WholeNumber(version)| {
        let version = (1..=MAX_VERSION).contains(&version).then_some(Version::new(version));
        let rule = || format!("must be a whole number from 1 to {MAX_VERSION}");
        fields.check(format!("/{EXPECTED_VERSION}"), version.ok_or_else(rule))
    });
    fields.finish(|| {
        let is_valid = key.as_ref().is_none_or(Option::is_some) && expected_version.is_none_or(|it| it.is_some());
        (is_valid && (named.is_some() || !names_instance::<D>())).then_some(())
    })?;
    let command = match message.data.into_command(caller) {
        Err(problem) if problem.status() != StatusCode::FORBIDDEN => return Err(problem.within(&format!("/{DATA}"))),
        command => command,
    };
    let stream = named.as_deref().map(StreamId::of::<<D::Aggregate as Aggregate>::Event>);
    let execute: Execute = Box::new(move |executor| {
        Box::pin(async move {
            let key = match D::TARGET {
                CommandTarget::New(new_key) => new_key(executor).to_string(),
                CommandTarget::Existing | CommandTarget::NewOrExisting => named.unwrap_or_default(),
            };
            executor.run::<D>(&key, command?).await
        })
    });
    Ok(ReadCommand { stream, key: key.flatten(), expected_version: expected_version.flatten(), execute })
}

/// Checks the key of an instance. Only its one spelling is accepted.
fn instance<D: CommandDocument>(text: &str) -> Result<String, String> {
    let key = text.parse::<<D::Aggregate as Aggregate>::Key>().ok().map(|key| key.to_string());
    let noun = <D::Aggregate as Aggregate>::Event::noun();
    key.filter(|key| key == text).ok_or_else(|| format!("must be the id of the {noun}, spelled as in responses"))
}

/// Returns whether the messages name an instance.
fn names_instance<D: CommandDocument>() -> bool {
    match D::TARGET {
        CommandTarget::New(_) => false,
        CommandTarget::Existing | CommandTarget::NewOrExisting => true,
    }
}

/// A message with a command whose document is `D`.
struct CommandMessage<D> {
    /// The key of the instance, unless the command creates it.
    instance: Option<String>,
    idempotency_key: Option<String>,
    expected_version: Option<WholeNumber>,
    data: D,
}

impl<'de, D: CommandDocument> Deserialize<'de> for CommandMessage<D> {
    fn deserialize<T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error> {
        deserializer.deserialize_map(MessageVisitor(PhantomData))
    }
}

struct MessageVisitor<D>(PhantomData<D>);

impl<'de, D: CommandDocument> Visitor<'de> for MessageVisitor<D> {
    type Value = CommandMessage<D>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<CommandMessage<D>, M::Error> {
        let key_name = key_name::<D>();
        // A command that creates its instance names none and expects no version.
        let known: &[&str] = match names_instance::<D>() {
            true => &[TYPE, &key_name, IDEMPOTENCY_KEY, EXPECTED_VERSION, DATA],
            false => &[TYPE, IDEMPOTENCY_KEY, DATA],
        };
        let (mut message_type, mut instance, mut idempotency_key) = (None, None, None);
        let (mut expected_version, mut data) = (None, None);
        while let Some(name) = map.next_key_seed(KnownField(known))? {
            match name {
                TYPE => set(&mut message_type, name, map.next_value::<String>()?)?,
                IDEMPOTENCY_KEY => set(&mut idempotency_key, name, map.next_value()?)?,
                EXPECTED_VERSION => set(&mut expected_version, name, map.next_value()?)?,
                DATA => set(&mut data, name, map.next_value::<JsonObject<D>>()?)?,
                _ => set(&mut instance, name, map.next_value()?)?,
            }
        }
        if instance.is_none() && names_instance::<D>() {
            return Err(missing(&key_name));
        }
        let JsonObject(data) = data.ok_or_else(|| missing(DATA))?;
        let (idempotency_key, expected_version) = (idempotency_key.flatten(), expected_version.flatten());
        Ok(CommandMessage { instance, idempotency_key, expected_version, data })
    }
}

fn missing<E: Error>(name: &str) -> E {
    E::custom(format_args!("missing field `{name}`"))
}

/// Sets the value of a field that must appear once.
fn set<T, E: Error>(field: &mut Option<T>, name: &str, value: T) -> Result<(), E> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom(format_args!("duplicate field `{name}`"))),
    }
}

/// Deserializes the name of one of these fields.
struct KnownField<'a>(&'a [&'a str]);

impl<'de, 'a> DeserializeSeed<'de> for KnownField<'a> {
    type Value = &'a str;

    fn deserialize<T: Deserializer<'de>>(self, deserializer: T) -> Result<&'a str, T::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'a> Visitor<'_> for KnownField<'a> {
    type Value = &'a str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<&'a str, E> {
        let known = self.0.iter().find(|known| **known == name).copied();
        known.ok_or_else(|| E::custom(format_args!("unknown field, expected one of: {}", self.0.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use cqrs::{Id, Scope, Text};
    use jiff::Timestamp;
    use serde::Serialize;
    use serde_json::{Value, json};

    use super::*;

    const WRITE: Scope = Scope::new("parcels/write");
    const ID: &str = "27debfb8-bd42-8131-9d45-532727018fe6";

    #[derive(Default)]
    struct Parcel;

    #[derive(Clone, Serialize)]
    enum ParcelCommand {
        Pack,
        Send(Text<10>),
    }

    #[derive(Clone, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum ParcelEvent {
        #[serde(rename = "parcel.sent")]
        Sent {},
    }

    #[derive(Clone, Copy, Debug, thiserror::Error)]
    #[error("the parcel is lost")]
    struct Lost;

    impl From<Lost> for &'static str {
        fn from(_: Lost) -> Self {
            "lost"
        }
    }

    impl Event for ParcelEvent {
        const CATEGORY: &'static str = "parcel";
        const SCHEMAS: &'static [(&'static str, u32)] = &[("parcel.sent", 1)];
    }

    impl Aggregate for Parcel {
        type Key = Id<Parcel>;
        type Command = ParcelCommand;
        type Event = ParcelEvent;
        type Rejection = Lost;

        fn decide(&self, _: ParcelCommand, _: Timestamp) -> Result<Vec<ParcelEvent>, Lost> {
            Err(Lost)
        }

        fn evolve(self, _: &ParcelEvent) -> Self {
            self
        }
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, expecting = "an object")]
    struct PackParcel {}

    impl CommandDocument for PackParcel {
        type Aggregate = Parcel;

        const NAME: &'static str = "pack";
        const SCOPES: &'static [Scope] = &[WRITE];
        const TARGET: CommandTarget<Parcel> = CommandTarget::New(|executor| executor.new_id());

        fn into_command(self, _: &Caller) -> Result<ParcelCommand, Problem> {
            Ok(ParcelCommand::Pack)
        }
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, expecting = "an object")]
    struct SendParcel {
        town: String,
    }

    impl CommandDocument for SendParcel {
        type Aggregate = Parcel;

        const NAME: &'static str = "send";
        const SCOPES: &'static [Scope] = &[WRITE];

        fn into_command(self, caller: &Caller) -> Result<ParcelCommand, Problem> {
            if self.town == "forbidden" {
                caller.require_any(&[Scope::new("parcels/admin")])?;
            }
            let mut fields = FieldValidation::default();
            let town = fields.check("/town", self.town.try_into());
            fields.finish(|| Some(ParcelCommand::Send(town?)))
        }
    }

    fn read(body: &str) -> Result<ReadCommand, Problem> {
        let commands = [AcceptedCommand::of::<PackParcel>(), AcceptedCommand::of::<SendParcel>()];
        let caller = Caller::new("carrier".to_owned(), "parcels/write").unwrap();
        AcceptedCommand::read(&commands, body, &caller).map(|(_, command)| command)
    }

    /// Returns the kind of the problem and the pointers of the invalid fields.
    #[track_caller]
    fn problem(body: &str) -> (&'static str, Vec<String>) {
        let problem = read(body).err().unwrap_or_else(|| panic!("accepted: {body}"));
        (problem.kind(), problem.errors().iter().map(|error| error.pointer.clone()).collect())
    }

    fn send(changes: Value) -> String {
        let mut message = json!({ "type": "send-parcel", "parcel_id": ID, "data": { "town": "Rome" } });
        for (name, value) in changes.as_object().unwrap() {
            message[name] = value.clone();
        }
        message.to_string()
    }

    #[test]
    fn a_message_names_its_command_its_instance_and_its_options() {
        let command = read(&send(json!({ "idempotency_key": "key-1", "expected_version": 3 }))).unwrap();
        assert_eq!(command.stream.unwrap().as_str(), format!("parcel#{ID}"));
        assert_eq!((command.key.as_deref(), command.expected_version), (Some("key-1"), Some(Version::new(3))));
        for body in [send(json!({})), send(json!({ "idempotency_key": null, "expected_version": null }))] {
            let command = read(&body).unwrap();
            assert_eq!((command.key, command.expected_version), (None, None), "{body}");
        }
        assert!(read(r#"{ "data": {}, "type": "pack-parcel", "idempotency_key": "a" }"#).unwrap().stream.is_none());
    }

    #[test]
    fn the_names_follow_from_the_document_and_the_category() {
        let AcceptedCommand { message_type, rejection_type, key_name, .. } = AcceptedCommand::of::<SendParcel>();
        assert_eq!([message_type, rejection_type, key_name], ["send-parcel", "parcel.send-rejected", "parcel_id"]);
    }

    #[test]
    fn invalid_json_is_malformed() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let with_bom = format!("\u{feff}{}", send(json!({})));
        let cut = send(json!({}));
        for body in ["", " ", "null x", "{", &deep, &with_bom, &cut[1..], r#"{"type": "send-parcel", "a": "\ud800"}"#] {
            assert_eq!(problem(body), ("malformed-request", Vec::new()), "{body}");
        }
    }

    #[test]
    fn a_message_has_at_most_64_kib() {
        let body = send(json!({}));
        let padded = |length: usize| body.clone() + &" ".repeat(length - body.len());
        assert!(read(&padded(64 * 1024)).is_ok());
        assert_eq!(problem(&padded(64 * 1024 + 1)), ("too-large", Vec::new()));
    }

    #[test]
    fn each_invalid_field_is_named_by_a_pointer() {
        for (body, pointer) in [
            ("[]".to_owned(), ""),
            ("\"send-parcel\"".to_owned(), ""),
            ("{}".to_owned(), "/type"),
            (send(json!({ "type": 1 })), "/type"),
            (send(json!({ "type": null })), "/type"),
            (send(json!({ "type": "send" })), "/type"),
            (send(json!({ "type": "Send-Parcel" })), "/type"),
            (send(json!({ "parcel_id": null })), "/parcel_id"),
            (send(json!({ "parcel_id": "7" })), "/parcel_id"),
            (send(json!({ "parcel_id": ID.to_uppercase() })), "/parcel_id"),
            (send(json!({ "parcel_id": ID.replace('-', "") })), "/parcel_id"),
            (send(json!({ "parcel_id": format!(" {ID}") })), "/parcel_id"),
            (r#"{"type": "send-parcel", "data": {"town": "Rome"}}"#.to_owned(), "/parcel_id"),
            (format!(r#"{{"type": "send-parcel", "parcel_id": "{ID}"}}"#), "/data"),
            (send(json!({ "data": [] })), "/data"),
            (send(json!({ "data": ["Rome"] })), "/data"),
            (send(json!({ "data": {} })), "/data/town"),
            (send(json!({ "data": { "town": 1 } })), "/data/town"),
            (send(json!({ "data": { "town": "" } })), "/data/town"),
            (send(json!({ "data": { "town": "Rome", "street": "" } })), "/data/street"),
            (send(json!({ "idempotency_key": "" })), "/idempotency_key"),
            (send(json!({ "idempotency_key": "a b" })), "/idempotency_key"),
            (send(json!({ "idempotency_key": "k".repeat(256) })), "/idempotency_key"),
            (send(json!({ "idempotency_key": 7 })), "/idempotency_key"),
            (send(json!({ "expected_version": 0 })), "/expected_version"),
            (send(json!({ "expected_version": -1 })), "/expected_version"),
            (send(json!({ "expected_version": "3" })), "/expected_version"),
            (send(json!({ "expected_version": 9_007_199_254_740_992_u64 })), "/expected_version"),
            (send(json!({ "caller": "admin" })), "/caller"),
            (send(json!({ "order_id": ID })), "/order_id"),
            (format!(r#"{{"type": "pack-parcel", "parcel_id": "{ID}", "data": {{}}}}"#), "/parcel_id"),
            (r#"{"type": "pack-parcel", "expected_version": 1, "data": {}}"#.to_owned(), "/expected_version"),
        ] {
            assert_eq!(problem(&body), ("invalid-request", vec![pointer.to_owned()]), "{body}");
        }
    }

    #[test]
    fn a_repeated_field_is_invalid() {
        for field in [r#""type": "send-parcel""#, &format!(r#""parcel_id": "{ID}""#), r#""data": {"town": "Oslo"}"#] {
            let body = send(json!({}));
            let body = format!("{}, {field}}}", body.strip_suffix('}').unwrap());
            assert_eq!(problem(&body).0, "invalid-request", "{body}");
        }
        for field in [r#""idempotency_key": "a""#, r#""expected_version": 1"#, r#""idempotency_key": null"#] {
            let body = send(json!({}));
            let body = format!("{}, {field}, {field}}}", body.strip_suffix('}').unwrap());
            assert_eq!(problem(&body).0, "invalid-request", "{body}");
        }
    }

    #[test]
    fn all_invalid_options_are_reported_at_once() {
        let body = send(json!({ "parcel_id": "7", "idempotency_key": "", "expected_version": 0 }));
        let pointers = ["/parcel_id", "/idempotency_key", "/expected_version"].map(str::to_owned);
        assert_eq!(problem(&body), ("invalid-request", pointers.to_vec()));
    }

    #[test]
    fn no_value_is_repeated() {
        for body in [
            send(json!({ "type": "Jane Doe" })),
            send(json!({ "parcel_id": "Jane Doe" })),
            send(json!({ "idempotency_key": "Jane Doe" })),
            send(json!({ "idempotency_key": { "name": "Jane Doe" } })),
            send(json!({ "data": "Jane Doe, expected by all at line 1" })),
            send(json!({ "data": { "town": "Jane Doe, Springfield" } })),
        ] {
            let problem = serde_json::to_string(&read(&body).err().unwrap()).unwrap();
            assert!(!problem.contains("Jane"), "{problem}");
        }
    }

    #[test]
    fn a_document_that_the_caller_may_not_send_is_not_malformed() {
        assert!(read(&send(json!({ "data": { "town": "forbidden" } }))).is_ok());
    }
}
