//! The commands of the clients, and their replies.

use std::{collections::BTreeSet, sync::Mutex};

use check::Reply;
use serde_json::{Value, json};

/// All commands of a run.
#[derive(Debug, Default)]
pub struct CommandLog(Mutex<Vec<LoggedCommand>>);

#[derive(Clone, Debug)]
pub struct LoggedCommand {
    pub command: ClientCommand,
    /// The last reply that decided the outcome.
    pub reply: Reply,
}

/// A command, identical in all its requests.
#[derive(Clone, Debug)]
pub struct ClientCommand {
    /// The W3C `traceparent`. It identifies the command's commit.
    pub trace: String,
    pub caller: String,
    pub scope: &'static str,
    pub path: String,
    pub body: Value,
    /// `Idempotency-Key`
    pub key: Option<String>,
    /// `If-Match`
    pub expected_version: Option<u64>,
}

impl CommandLog {
    /// Adds the command that `make` creates for its number.
    pub fn add(&self, make: impl FnOnce(usize) -> ClientCommand) -> (usize, ClientCommand) {
        let mut commands = self.0.lock().unwrap();
        let number = commands.len();
        let command = make(number);
        commands.push(LoggedCommand { command: command.clone(), reply: Reply::Unknown });
        (number, command)
    }

    pub fn set_reply(&self, number: usize, reply: Reply) {
        self.0.lock().unwrap()[number].reply = reply;
    }

    /// Forgets the replies of the commands with these traces. A restore has removed their commits.
    pub fn forget(&self, traces: &BTreeSet<String>) {
        for logged in self.0.lock().unwrap().iter_mut().filter(|logged| traces.contains(&logged.command.trace)) {
            logged.reply = Reply::Unknown;
        }
    }

    pub fn all(&self) -> Vec<LoggedCommand> {
        self.0.lock().unwrap().clone()
    }

    /// Caller and key of the command with this trace. `None` if it has no key.
    pub fn key_of(&self, trace: &str) -> Option<(String, String)> {
        let commands = self.0.lock().unwrap();
        let logged = commands.iter().find(|logged| logged.command.trace == trace)?;
        Some((logged.command.caller.clone(), logged.command.key.clone()?))
    }
}

impl ClientCommand {
    pub fn place(number: usize, customer: &str, books: u64) -> Self {
        let item = json!({ "sku": "BOOK-1", "quantity": books, "unit_price": 1250 });
        let currency = if number.is_multiple_of(3) { "JPY" } else { "EUR" };
        let body = json!({ "currency": currency, "items": [item], "shipping_address": "1 Main Street, Springfield" });
        Self::new(number, customer, "orders/write", "/orders".to_owned(), body)
    }

    pub fn ship(number: usize, order: &str) -> Self {
        let body = json!({ "carrier": "DHL", "tracking_number": format!("JD{number}") });
        Self::new(number, "warehouse", "orders/fulfil", format!("/orders/{order}/ship"), body)
    }

    pub fn deliver(number: usize, order: &str) -> Self {
        Self::new(number, "warehouse", "orders/fulfil", format!("/orders/{order}/deliver"), json!({}))
    }

    /// Cancels an order, which may belong to another caller.
    pub fn cancel(number: usize, caller: &str, order: &str) -> Self {
        let scope = if caller == "root" { "orders/admin" } else { "orders/write" };
        let body = json!({ "reason": format!("reason {number}") });
        Self::new(number, caller, scope, format!("/orders/{order}/cancel"), body)
    }

    fn new(number: usize, caller: &str, scope: &'static str, path: String, body: Value) -> Self {
        // A trace id of zeros is invalid.
        let trace = format!("00-{0:032x}-{0:016x}-01", number + 1);
        let key = Some(format!("key-{number}"));
        Self { trace, caller: caller.to_owned(), scope, path, body, key, expected_version: None }
    }

    pub fn route(&self) -> String {
        let last = self.path.rsplit('/').next().unwrap_or_default();
        if self.path == "/orders" { "/orders".to_owned() } else { format!("/orders/{{order_id}}/{last}") }
    }
}
