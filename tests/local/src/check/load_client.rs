//! One client of the load: sends a command once or several times, then reads the changed order.

use std::{collections::VecDeque, time::Duration};

use serde_json::{Value, json};

use super::{
    final_state::{events, order_state},
    history::{Read, ReadSource, Reply, SentCommand},
    load::{KnownOrder, Load, LoadLog},
};
use crate::hash;

/// The most orders of its own that a client remembers. All of them are on the first page of its list.
const MAX_OWN_ORDERS: usize = 20;
/// The most attempts of a command without an answer.
const MAX_ATTEMPTS: u32 = 8;

pub(super) struct LoadClient<'a> {
    load: &'a Load,
    number: u64,
    step: u64,
    own: VecDeque<KnownOrder>,
    log: LoadLog,
}

struct PlannedCommand {
    path: String,
    body: Value,
    mark: String,
}

impl<'a> LoadClient<'a> {
    pub(super) fn new(load: &'a Load, number: u64) -> Self {
        Self { load, number, step: 0, own: VecDeque::new(), log: LoadLog::default() }
    }

    /// Sends commands and reads orders while `should_continue` returns true. Returns the log.
    pub(super) async fn run(mut self, should_continue: impl Fn() -> bool) -> LoadLog {
        while should_continue() {
            self.step += 1;
            let order = self.choose_order();
            let key = format!("{}-{}-{}", self.load.run, self.number, self.step);
            let planned = self.plan(order.as_ref(), &key);
            // Another command with the same key is not a repeat, and must not be executed.
            let other = self.plan(order.as_ref(), &format!("{key}-other"));
            let reuses = other.mark != planned.mark && self.roll("reuses the key", 100) < 3;
            let changed = self.send(&key, planned, &should_continue).await;
            if reuses {
                self.send(&key, other, &should_continue).await;
            }
            match changed {
                Some(known) => self.read_back(known).await,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        self.log
    }

    /// The order of the next command. `None` places a new one.
    fn choose_order(&self) -> Option<KnownOrder> {
        match self.roll("order", 100) {
            0..40 => None,
            40..75 => {
                let index = self.roll("own", self.own.len() as u64);
                self.own.get(usize::try_from(index).unwrap_or_default()).cloned()
            }
            _ => self.load.shared_order(self.roll("in common", 1 << 20)),
        }
    }

    fn plan(&self, order: Option<&KnownOrder>, mark: &str) -> PlannedCommand {
        let Some(KnownOrder { id, .. }) = order else {
            let items = json!([{ "sku": "CHECK", "quantity": 1 + self.roll("quantity", 9), "unit_price": 100 }]);
            let customer_id = self.load.customer(self.number);
            let body =
                json!({ "customer_id": customer_id, "currency": "EUR", "items": items, "shipping_address": mark });
            return PlannedCommand { path: "/orders".to_owned(), body, mark: mark.to_owned() };
        };
        let (command, body, mark) = match self.roll("command", 100) {
            0..45 => ("ship", json!({ "carrier": "check", "tracking_number": mark }), mark.to_owned()),
            45..75 => ("deliver", json!({}), format!("deliver {id}")),
            _ => ("cancel", json!({ "reason": mark }), mark.to_owned()),
        };
        PlannedCommand { path: format!("/orders/{id}/{command}"), body, mark }
    }

    /// Sends a command. Usually retries it until it has an answer, and sometimes repeats an answered command.
    async fn send(
        &mut self,
        key: &str,
        planned: PlannedCommand,
        should_continue: impl Fn() -> bool,
    ) -> Option<KnownOrder> {
        let began = self.load.tick();
        let mut replies = vec![self.send_once(key, &planned).await];
        if self.roll("insists", 100) < 70 {
            for attempt in 1..MAX_ATTEMPTS {
                if replies.last() != Some(&Reply::Unknown) || !should_continue() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50) * attempt).await;
                replies.push(self.send_once(key, &planned).await);
            }
        }
        if self.roll("repeats", 100) < 10 {
            replies.push(self.send_once(key, &planned).await);
        }
        let command = SentCommand { mark: planned.mark, began, ended: self.load.tick(), replies };
        let known = command.accepted().map(|(id, version)| KnownOrder { id: id.to_owned(), version });
        self.log.commands.push(command);
        let known = known?;
        self.load.acknowledge(known.clone());
        if planned.path == "/orders" || self.own.iter().any(|own| own.id == known.id) {
            self.own.retain(|own| own.id != known.id);
            self.own.push_back(known.clone());
            let excess = self.own.len().saturating_sub(MAX_OWN_ORDERS);
            self.own.drain(..excess);
        }
        Some(known)
    }

    async fn send_once(&mut self, key: &str, PlannedCommand { path, body, .. }: &PlannedCommand) -> Reply {
        let began = self.load.environment.now();
        let reply = self.load.api.command(path, key, body).await;
        self.log.command_times.push(self.load.environment.now().duration_since(began));
        reply
    }

    /// Reads a changed order through one of the routes that promise to show the change.
    async fn read_back(&mut self, KnownOrder { id, version }: KnownOrder) {
        let own = self.own.iter().any(|own| own.id == id);
        let (source, at_least, path) = match self.roll("reads", 100) {
            0..40 => (ReadSource::Order, version, format!("/orders/{id}?min_version={version}")),
            // Without `min_version`, the order may be older, but it must exist.
            40..55 => (ReadSource::Order, 1, format!("/orders/{id}")),
            55..70 => (ReadSource::Events, version, format!("/orders/{id}/events")),
            70..90 if own => {
                let customer = self.load.customer(self.number);
                (
                    ReadSource::List,
                    version,
                    format!("/customers/{customer}/orders?limit=100&min_version={id}:{version}"),
                )
            }
            _ => return,
        };
        let began = self.load.environment.now();
        let read = self.load.api.read(&path).await;
        self.log.read_times.push(self.load.environment.now().duration_since(began));
        let Ok(document) = read else {
            self.log.unanswered += 1;
            return;
        };
        let document = document.unwrap_or_default();
        let state = match source {
            ReadSource::Order => order_state(&document),
            ReadSource::Events => events(&id, &document).pop().map(Into::into),
            ReadSource::List => {
                let rows = document["orders"].as_array().into_iter().flatten();
                rows.filter(|row| row["order_id"] == *id).find_map(order_state)
            }
        };
        self.log.reads.push(Read { source, order: id, at_least, state });
    }

    /// A number below `sides` that depends on the seed, the client, the step and `what`.
    fn roll(&self, what: &str, sides: u64) -> u64 {
        let [seed, client, step] = [self.load.seed, self.number, self.step].map(|number| number.to_string());
        hash::of(&["check", &seed, &client, &step, what]).checked_rem(sides).unwrap_or_default()
    }
}
