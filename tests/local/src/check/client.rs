//! What a client does: a command, sent once or more; then a look at what became of it.

use std::{collections::VecDeque, time::Duration};

use serde_json::{Value, json};

use super::{
    aftermath::{events, seen},
    history::{Command, Read, Source, Told},
    load::{Known, Load, Log},
};
use crate::hash;

/// How many of its own orders a client remembers: so few that all are on the first page of their list.
const OWN: usize = 20;
/// How often a command without an answer is sent, at most.
const TRIES: u32 = 8;

/// One client.
pub(super) struct Client<'a> {
    load: &'a Load,
    number: u64,
    step: u64,
    own: VecDeque<Known>,
    log: Log,
}

/// A command that is ready to be sent.
struct Letter {
    path: String,
    body: Value,
    mark: String,
}

impl<'a> Client<'a> {
    pub(super) fn new(load: &'a Load, number: u64) -> Self {
        Self { load, number, step: 0, own: VecDeque::new(), log: Log::default() }
    }

    /// Acts as long as it is to go on; gives what became of it.
    pub(super) async fn run(mut self, goes_on: impl Fn() -> bool) -> Log {
        while goes_on() {
            self.step += 1;
            let order = self.takes_up();
            let key = format!("{}-{}-{}", self.load.run, self.number, self.step);
            let letter = self.letter(order.as_ref(), &key);
            // Another command under a key that is taken: no repeat, and not to be carried out.
            let other = self.letter(order.as_ref(), &format!("{key}-other"));
            let reuses = other.mark != letter.mark && self.rolls("reuses the key", 100) < 3;
            let done = self.commands(&key, letter, &goes_on).await;
            if reuses {
                self.commands(&key, other, &goes_on).await;
            }
            match done {
                Some(known) => self.looks_at(known).await,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        self.log
    }

    /// The order that the next command is for; `None` for a new one.
    fn takes_up(&self) -> Option<Known> {
        match self.rolls("order", 100) {
            0..40 => None,
            40..75 => {
                let place = self.rolls("own", self.own.len() as u64);
                self.own.get(usize::try_from(place).unwrap_or_default()).cloned()
            }
            _ => self.load.in_common(self.rolls("in common", 1 << 20)),
        }
    }

    fn letter(&self, order: Option<&Known>, mark: &str) -> Letter {
        let Some(Known { id, .. }) = order else {
            let items = json!([{ "sku": "CHECK", "quantity": 1 + self.rolls("quantity", 9), "unit_price": 100 }]);
            let customer_id = self.load.customer(self.number);
            let body =
                json!({ "customer_id": customer_id, "currency": "EUR", "items": items, "shipping_address": mark });
            return Letter { path: "/orders".to_owned(), body, mark: mark.to_owned() };
        };
        let (command, body, mark) = match self.rolls("command", 100) {
            0..45 => ("ship", json!({ "carrier": "check", "tracking_number": mark }), mark.to_owned()),
            45..75 => ("deliver", json!({}), format!("deliver {id}")),
            _ => ("cancel", json!({ "reason": mark }), mark.to_owned()),
        };
        Letter { path: format!("/orders/{id}/{command}"), body, mark }
    }

    /// Sends a command: again if there is no answer, mostly; and now and then although there is one.
    async fn commands(&mut self, key: &str, letter: Letter, goes_on: impl Fn() -> bool) -> Option<Known> {
        let began = self.load.tick();
        let mut told = vec![self.sends(key, &letter).await];
        if self.rolls("insists", 100) < 70 {
            for attempt in 1..TRIES {
                if told.last() != Some(&Told::Nothing) || !goes_on() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50) * attempt).await;
                told.push(self.sends(key, &letter).await);
            }
        }
        if self.rolls("repeats", 100) < 10 {
            told.push(self.sends(key, &letter).await);
        }
        let command = Command { mark: letter.mark, began, ended: self.load.tick(), told };
        let known = command.done().map(|(id, version)| Known { id: id.to_owned(), version });
        self.log.commands.push(command);
        let known = known?;
        self.load.acknowledge(known.clone());
        if letter.path == "/orders" || self.own.iter().any(|own| own.id == known.id) {
            self.own.retain(|own| own.id != known.id);
            self.own.push_back(known.clone());
            let excess = self.own.len().saturating_sub(OWN);
            self.own.drain(..excess);
        }
        Some(known)
    }

    async fn sends(&mut self, key: &str, Letter { path, body, .. }: &Letter) -> Told {
        let began = self.load.environment.now();
        let told = self.load.api.command(path, key, body).await;
        self.log.commands_took.push(self.load.environment.now().duration_since(began));
        told
    }

    /// Reads what was just changed, in one of the ways that promise to show it.
    async fn looks_at(&mut self, Known { id, version }: Known) {
        let own = self.own.iter().any(|own| own.id == id);
        let (source, at_least, path) = match self.rolls("reads", 100) {
            0..40 => (Source::Order, version, format!("/orders/{id}?min_version={version}")),
            // Without `min_version` it may be older; but it is there.
            40..55 => (Source::Order, 1, format!("/orders/{id}")),
            55..70 => (Source::Events, version, format!("/orders/{id}/events")),
            70..90 if own => {
                let customer = self.load.customer(self.number);
                (Source::List, version, format!("/customers/{customer}/orders?limit=100&min_version={id}:{version}"))
            }
            _ => return,
        };
        let began = self.load.environment.now();
        let read = self.load.api.read(&path).await;
        self.log.reads_took.push(self.load.environment.now().duration_since(began));
        let Ok(document) = read else {
            self.log.unanswered += 1;
            return;
        };
        let document = document.unwrap_or_default();
        let seen = match source {
            Source::Order => seen(&document),
            Source::Events => events(&id, &document).pop().map(Into::into),
            Source::List => {
                let rows = document["orders"].as_array().into_iter().flatten();
                rows.filter(|row| row["order_id"] == *id).find_map(seen)
            }
        };
        self.log.reads.push(Read { source, order: id, at_least, seen });
    }

    /// A number below `sides`, drawn anew for each step.
    fn rolls(&self, what: &str, sides: u64) -> u64 {
        let [seed, client, step] = [self.load.seed, self.number, self.step].map(|number| number.to_string());
        hash::of(&["check", &seed, &client, &step, what]).checked_rem(sides).unwrap_or_default()
    }
}
