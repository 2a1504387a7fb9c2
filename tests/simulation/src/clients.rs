//! Clients that send commands and queries concurrently. The system must refuse some of the commands.

use std::{cell::Cell, collections::BTreeSet, sync::Mutex, time::Duration};

use check::Reply;
use cqrs::{Projection, Rollup};
use jiff::Timestamp;
use local::{Stack, gateway::ApiEvent};
use orders::{Dashboard, OrderSummaries};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time};

use crate::{commands::ClientCommand, domain, invariant_checker::InvariantChecker, world::World};

/// The number of requests after which a command without an outcome is a violation.
const MAX_REQUESTS: usize = 100;
/// The most milliseconds until the next action of a client that hurries.
const MAX_HURRIED_PAUSE: u64 = 300;
/// The most orders of a run.
const MAX_ORDERS: usize = 6;
/// The statuses that refuse a command. Any other 4xx is a defect of the simulation or of the system.
const REFUSALS: [u16; 4] = [404, 409, 412, 422];

pub struct SimulatedClient<'a> {
    /// The name of the client, and its customer id.
    pub name: String,
    pub world: &'a World,
    pub stack: &'a Stack,
    pub checker: &'a InvariantChecker,
    /// The orders that all clients know, with their highest acknowledged version.
    pub orders: &'a Mutex<Vec<(String, u64)>>,
    /// The most milliseconds between two actions.
    pub max_pause: u64,
}

/// Status and document of a response. `None` without a response.
type ClientResponse = Option<(u16, Value)>;
/// An invocation that continues after its client stopped waiting.
type AbandonedRequest = JoinHandle<()>;

impl SimulatedClient<'_> {
    /// Performs this number of actions, and more while the operator is rebuilding counters, with pauses.
    pub async fn run(&self, actions: u64, rebuilding: &Cell<bool>) {
        for _ in (0..).take_while(|done| *done < actions || rebuilding.get()) {
            let pause = self.world.random.duration_below(self.max_pause);
            if time::timeout(pause, self.world.hurry.notified()).await.is_ok() {
                time::sleep(self.world.random.duration_below(MAX_HURRIED_PAUSE)).await;
            }
            if !self.world.invariants_hold() {
                return;
            }
            self.act().await;
        }
    }

    async fn act(&self) {
        let orders = self.orders.lock().unwrap().clone();
        let random = &self.world.random;
        let Some((order, version)) = random.pick(&orders).filter(|_| orders.len() < 2 || !random.happens(150)) else {
            return self.send_new(|number| ClientCommand::place(number, &self.name, number as u64 % 5 + 1)).await;
        };
        match random.below(100) {
            0..12 if orders.len() < MAX_ORDERS => {
                self.send_new(|number| ClientCommand::place(number, &self.name, number as u64 % 5 + 1)).await;
            }
            0..32 => self.send_new(|number| self.vary(ClientCommand::ship(number, order), *version)).await,
            32..47 => self.send_new(|number| self.vary(ClientCommand::deliver(number, order), *version)).await,
            47..54 => self.send_new(|number| self.vary(ClientCommand::cancel(number, "root", order), *version)).await,
            54..58 => self.send_new(|number| ClientCommand::cancel(number, &self.name, order)).await,
            58..65 => self.repeat().await,
            65..72 => self.reuse_a_key().await,
            72..87 => self.read(order, *version).await,
            87..94 => self.list(order, *version).await,
            _ => self.read_dashboard().await,
        }
    }

    /// Adds an `If-Match` with `version` to some commands, and removes the key of others.
    fn vary(&self, command: ClientCommand, version: u64) -> ClientCommand {
        match self.world.random.below(10) {
            0..3 => ClientCommand { expected_version: Some(version), ..command },
            3 => ClientCommand { key: None, ..command },
            _ => command,
        }
    }

    /// Sends a new command, sometimes twice at once.
    async fn send_new(&self, make: impl FnOnce(usize) -> ClientCommand) {
        let (number, command) = self.world.commands.add(make);
        if command.key.is_some() && self.world.inject("command sent twice at once", 60) {
            let both = tokio::join!(self.send_until_answered(&command), self.send_until_answered(&command));
            self.record_reply(number, &command, both.0, Some(both.1));
        } else {
            let reply = self.send_until_answered(&command).await;
            self.record_reply(number, &command, reply, None);
        }
    }

    /// Repeats a command that has an outcome.
    async fn repeat(&self) {
        let all = self.world.commands.all();
        let done: Vec<usize> = (0..all.len()).filter(|number| all[*number].reply != Reply::Unknown).collect();
        let Some(number) = self.world.random.pick(&done).filter(|number| all[**number].command.key.is_some()) else {
            return;
        };
        let logged = &all[*number];
        let reply = self.send_until_answered(&logged.command).await;
        let before = Some(logged.reply.clone()).filter(|reply| matches!(reply, Reply::Accepted { .. }));
        self.record_reply(*number, &logged.command, reply, before);
    }

    /// Sends another command with a key that was used.
    async fn reuse_a_key(&self) {
        let all = self.world.commands.all();
        let Some(used) = self.world.random.pick(&all).filter(|logged| logged.command.key.is_some()) else { return };
        let used = used.command.clone();
        self.send_new(|number| {
            let other = match used.path.rsplit('/').next() {
                Some("orders") => ClientCommand::place(number, &used.caller, number as u64 + 7),
                Some("cancel") => ClientCommand { body: json!({ "reason": format!("not {number}") }), ..used.clone() },
                _ => ClientCommand {
                    body: json!({ "carrier": "UPS", "tracking_number": format!("1Z{number}") }),
                    ..used.clone()
                },
            };
            let fresh = ClientCommand::place(number, &used.caller, 1);
            match used.path.ends_with("/deliver") {
                true => fresh,
                false => ClientCommand { trace: fresh.trace, key: used.key.clone(), ..other },
            }
        })
        .await;
    }

    /// Records a reply, and checks it. `other` is the reply to the same command at another time.
    fn record_reply(&self, number: usize, command: &ClientCommand, reply: Reply, other: Option<Reply>) {
        let trace = &self.world.trace;
        let reply = match (reply, other) {
            (reply @ Reply::Accepted { .. }, Some(other @ Reply::Accepted { .. })) if reply != other => {
                return trace.report_violation(format!("I5: command {number} got the replies {reply:?} and {other:?}"));
            }
            (Reply::Refused(_) | Reply::Unknown, Some(other @ Reply::Accepted { .. })) => other,
            (reply, _) => reply,
        };
        trace.record(&format!("{} {} of {} → {reply:?}", number, command.path, command.caller), &json!(null));
        if let Reply::Accepted { stream: order, version } = &reply {
            let mut orders = self.orders.lock().unwrap();
            match orders.iter_mut().find(|(known, _)| known == order) {
                Some((_, highest)) => *highest = (*highest).max(*version),
                None => orders.push((order.clone(), *version)),
            }
        }
        self.world.commands.set_reply(number, reply.clone());
        if let Err(violation) = self.checker.check_reply(domain::CATEGORY, command, &reply) {
            trace.report_violation(violation);
        }
    }

    /// Sends the command until it has an outcome. A 5xx is no outcome, and the key makes the repeat safe.
    pub async fn send_until_answered(&self, command: &ClientCommand) -> Reply {
        let mut abandoned = Vec::new();
        for _ in 0..MAX_REQUESTS {
            match self.send(command, &mut abandoned).await {
                Some((200 | 201, document)) => {
                    let order = document["order_id"].as_str().unwrap_or_default().to_owned();
                    return Reply::Accepted {
                        stream: order,
                        version: document["version"].as_u64().unwrap_or_default(),
                    };
                }
                Some((status, _)) if REFUSALS.contains(&status) => match abandoned.is_empty() {
                    true => return Reply::Refused(status),
                    // The system does not store refusals, so an abandoned request may still be accepted: wait for it.
                    false => futures_util::future::join_all(abandoned.drain(..)).await.clear(),
                },
                Some((status, document)) if status < 500 => {
                    self.world.trace.report_violation(format!("{} got status {status}: {document}", command.path));
                }
                _ if command.key.is_none() || !self.world.invariants_hold() => return Reply::Unknown,
                _ => {}
            }
            time::sleep(self.world.random.duration_below(500)).await;
        }
        self.world.trace.report_violation(format!("I5: {} has no outcome after {MAX_REQUESTS} requests", command.path));
        Reply::Unknown
    }

    async fn send(&self, command: &ClientCommand, abandoned: &mut Vec<AbandonedRequest>) -> ClientResponse {
        let mut headers = json!({ "content-type": "application/json", "traceparent": command.trace });
        if let Some(key) = &command.key {
            headers["idempotency-key"] = json!(key);
        }
        if let Some(expected) = command.expected_version {
            headers["if-match"] = json!(format!("\"{expected}\""));
        }
        let caller = (command.caller.as_str(), command.scope);
        let event = event(["POST", &command.route(), &command.path, ""], headers, caller, &command.body.to_string());
        self.invoke("command", event, abandoned).await
    }

    /// Reads an order at its highest acknowledged version.
    async fn read(&self, order: &str, at_least: u64) {
        let path = format!("/orders/{order}");
        let response = self.get("get-order", "/orders/{order_id}", &path, &format!("min_version={at_least}")).await;
        let Some((status, mut shown)) = response.filter(|_| !self.checker.is_damaged()) else { return };
        without_behind_mark(&mut shown);
        let version = shown["version"].as_u64().unwrap_or_default();
        let is_valid = status == 200
            && version >= at_least
            && self.checker.view_at(OrderSummaries::NAME, order, version).as_ref() == Some(&shown);
        if !is_valid && status < 500 {
            self.world
                .trace
                .report_violation(format!("I7: {order} at version {at_least} or later got status {status}: {shown}"));
        }
    }

    /// Reads the list that must contain an order, for the customer who placed it.
    async fn list(&self, order: &str, at_least: u64) {
        let Some(view) = self.checker.view_at(OrderSummaries::NAME, order, 1) else { return };
        let path = format!("/customers/{}/orders", view["customer_id"].as_str().unwrap());
        let query = format!("min_version={order}:{at_least}");
        let response = self.get("list-orders", "/customers/{customer_id}/orders", &path, &query).await;
        let Some((status, list)) = response.filter(|_| !self.checker.is_damaged()) else { return };
        let mut rows: Vec<Value> = list["orders"].as_array().cloned().unwrap_or_default();
        rows.iter_mut().for_each(without_behind_mark);
        let is_prefix = |row: &Value| {
            let version = row["version"].as_u64().unwrap_or_default();
            let at_least = if row["order_id"] == order { at_least } else { 1 };
            let order = row["order_id"].as_str().unwrap_or_default();
            let view = self.checker.view_at(OrderSummaries::NAME, order, version).unwrap_or_default();
            version >= at_least && row.as_object().unwrap().iter().all(|(name, value)| view[name] == *value)
        };
        let shown: BTreeSet<&str> = rows.iter().filter_map(|row| row["order_id"].as_str()).collect();
        let is_valid =
            status == 200 && shown.contains(order) && shown.len() == rows.len() && rows.iter().all(is_prefix);
        if !is_valid && status < 500 {
            self.world.trace.report_violation(format!(
                "I7: the list with {order} at version {at_least} got status {status}: {list}"
            ));
        }
    }

    /// Reads the dashboard. Its totals must be those of one instant.
    async fn read_dashboard(&self) {
        let table = &self.stack.app.tables.get(Dashboard::TABLE).unwrap();
        let since = self.checker.counters_count(table);
        let response = self.get("get-dashboard", "/dashboard", "/dashboard", "days=1").await;
        let Some((status, shown)) = response.filter(|_| !self.checker.is_damaged()) else { return };
        let is_shown = |counters: &cqrs::Counters| {
            let whole = serde_json::to_value(Dashboard::new(counters, Timestamp::UNIX_EPOCH, 0)).unwrap();
            ["orders", "by_status", "revenue"]
                .iter()
                .all(|name| without_zeros(&whole[name]) == without_zeros(&shown[name]))
        };
        if self.checker.has_just_switched() {
            return;
        }
        if status < 500 && !(status == 200 && self.checker.any_counters_since(table, since, is_shown)) {
            self.world.trace.report_violation(format!("I7: the dashboard got status {status}: {shown}"));
        }
    }

    async fn get(&self, function: &str, route: &str, path: &str, query: &str) -> ClientResponse {
        let event = event(["GET", route, path, query], json!({}), ("root", "orders/admin"), "");
        let answer = self.invoke(function, event, &mut Vec::new()).await;
        let status = answer.as_ref().map(|(status, _)| *status);
        self.world.trace.record(&format!("GET {path}?{query} → {status:?}"), &json!(answer));
        answer
    }

    /// Invokes a function. The invocation may die, or its client may stop waiting while the invocation continues.
    async fn invoke(&self, function: &str, event: Value, abandoned: &mut Vec<AbandonedRequest>) -> ClientResponse {
        let now = self.world.clock.now().as_millisecond();
        let function = self.stack.function(function).unwrap().clone();
        if self.world.inject("function died", 40) {
            let dying = tokio::spawn(function.start(event, now));
            time::sleep(self.world.random.duration_below(40)).await;
            dying.abort();
            return None;
        }
        let mut invocation = tokio::spawn(async move { function.invoke(event, now).await.ok() });
        let patience = match self.world.inject("client stopped waiting", 40) {
            true => self.world.random.duration_below(40),
            false => Duration::MAX,
        };
        match time::timeout(patience, &mut invocation).await {
            Ok(answer) => {
                let answer = answer.ok()??;
                let document = answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
                Some((answer["statusCode"].as_u64()? as u16, document.unwrap_or_default()))
            }
            Err(_) => {
                abandoned.push(tokio::spawn(async move { drop(invocation.await) }));
                None
            }
        }
    }
}

/// Removes the fields with the value 0.
fn without_zeros(document: &Value) -> Value {
    let Some(fields) = document.as_object() else { return document.clone() };
    Value::Object(
        fields
            .iter()
            .filter(|(_, value)| **value != 0 && **value != "0")
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    )
}

/// Removes the mark of a view that is behind. The rest of the view must be correct.
fn without_behind_mark(view: &mut Value) {
    view.as_object_mut().map(|view| view.remove("behind"));
}

/// A request as API Gateway passes it to a function.
fn event([method, route, path, query]: [&str; 4], headers: Value, (sub, scope): (&str, &str), body: &str) -> Value {
    let authorizer = json!({ "jwt": { "claims": { "sub": sub, "scope": scope }, "scopes": null } });
    let headers = headers.as_object().cloned().unwrap_or_default();
    let (path_parameters, body, now) = (&[], body.as_bytes(), Timestamp::UNIX_EPOCH);
    ApiEvent { method, route, path, query, headers, path_parameters, authorizer, body, now }.to_json()
}
