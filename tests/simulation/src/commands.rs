//! What clients have logged for, and what they were reply.

use std::sync::Mutex;

use local::check::Reply;
use serde_json::{Value, json};

/// The commands of a run.
#[derive(Debug, Default)]
pub struct CommandLog(Mutex<Vec<LoggedCommand>>);

/// A command, and what its client knows of it.
#[derive(Clone, Debug)]
pub struct LoggedCommand {
    /// The command.
    pub command: ClientCommand,
    /// What became of it.
    pub reply: Reply,
}

/// A command as a client sends it, however often.
#[derive(Clone, Debug)]
pub struct ClientCommand {
    /// The W3C `traceparent` that all its requests have: the commit keeps it.
    pub trace: String,
    /// Who asks.
    pub caller: String,
    /// What its token permits.
    pub scope: &'static str,
    /// To what.
    pub path: String,
    /// What for.
    pub body: Value,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
    /// Its `If-Match`.
    pub expected: Option<u64>,
}

impl CommandLog {
    /// Takes in a command, and gives its number.
    pub fn add(&self, make: impl FnOnce(usize) -> ClientCommand) -> (usize, ClientCommand) {
        let mut commands = self.0.lock().unwrap();
        let number = commands.len();
        let command = make(number);
        commands.push(LoggedCommand { command: command.clone(), reply: Reply::Unknown });
        (number, command)
    }

    /// The client was reply.
    pub fn set_reply(&self, number: usize, reply: Reply) {
        self.0.lock().unwrap()[number].reply = reply;
    }

    /// All commands so far.
    pub fn all(&self) -> Vec<LoggedCommand> {
        self.0.lock().unwrap().clone()
    }

    /// Caller and key of the command with this trace, if it has a key.
    pub fn key_of(&self, trace: &str) -> Option<(String, String)> {
        let commands = self.0.lock().unwrap();
        let logged = commands.iter().find(|logged| logged.command.trace == trace)?;
        Some((logged.command.caller.clone(), logged.command.key.clone()?))
    }
}

impl ClientCommand {
    /// Places an order of so many books.
    pub fn place(number: usize, customer: &str, books: u64) -> Self {
        let item = json!({ "sku": "BOOK-1", "quantity": books, "unit_price": 1250 });
        let currency = if number.is_multiple_of(3) { "JPY" } else { "EUR" };
        let body = json!({ "currency": currency, "items": [item], "shipping_address": "1 Main Street, Springfield" });
        Self::new(number, customer, "orders/write", "/orders".to_owned(), body)
    }

    /// Ships an order.
    pub fn ship(number: usize, order: &str) -> Self {
        let body = json!({ "carrier": "DHL", "tracking_number": format!("JD{number}") });
        Self::new(number, "warehouse", "orders/fulfil", format!("/orders/{order}/ship"), body)
    }

    /// Says that an order has arrived.
    pub fn deliver(number: usize, order: &str) -> Self {
        Self::new(number, "warehouse", "orders/fulfil", format!("/orders/{order}/deliver"), json!({}))
    }

    /// Calls an order off, for this caller: whose it may not be.
    pub fn cancel(number: usize, caller: &str, order: &str) -> Self {
        let scope = if caller == "root" { "orders/admin" } else { "orders/write" };
        let body = json!({ "reason": format!("reason {number}") });
        Self::new(number, caller, scope, format!("/orders/{order}/cancel"), body)
    }

    fn new(number: usize, caller: &str, scope: &'static str, path: String, body: Value) -> Self {
        // A trace of zeros would be none.
        let trace = format!("00-{0:032x}-{0:016x}-01", number + 1);
        let key = Some(format!("key-{number}"));
        Self { trace, caller: caller.to_owned(), scope, path, body, key, expected: None }
    }

    /// The route of its path.
    pub fn route(&self) -> String {
        let last = self.path.rsplit('/').next().unwrap_or_default();
        if self.path == "/orders" { "/orders".to_owned() } else { format!("/orders/{{order_id}}/{last}") }
    }
}
