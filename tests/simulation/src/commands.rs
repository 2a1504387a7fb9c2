//! What clients have asked for, and what they were told.

use std::sync::Mutex;

use serde_json::{Value, json};

/// The commands of a run.
#[derive(Debug, Default)]
pub struct Commands(Mutex<Vec<Asked>>);

/// A command, and what its client knows of it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The command.
    pub command: Command,
    /// What became of it.
    pub told: Told,
}

/// A command as a client sends it, however often.
#[derive(Clone, Debug)]
pub struct Command {
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

/// What a client was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Nothing yet, or nothing that is final.
    Nothing,
    /// 2xx.
    Accepted {
        /// Which order it was about.
        order: String,
        /// The version of its commit.
        version: u64,
    },
    /// 4xx.
    Refused(u16),
}

impl Commands {
    /// Takes in a command, and gives its number.
    pub fn ask(&self, make: impl FnOnce(usize) -> Command) -> (usize, Command) {
        let mut commands = self.0.lock().unwrap();
        let number = commands.len();
        let command = make(number);
        commands.push(Asked { command: command.clone(), told: Told::Nothing });
        (number, command)
    }

    /// The client was told.
    pub fn tell(&self, number: usize, told: Told) {
        self.0.lock().unwrap()[number].told = told;
    }

    /// All commands so far.
    pub fn all(&self) -> Vec<Asked> {
        self.0.lock().unwrap().clone()
    }

    /// Caller and key of the command with this trace, if it has a key.
    pub fn key_of(&self, trace: &str) -> Option<(String, String)> {
        let commands = self.0.lock().unwrap();
        let asked = commands.iter().find(|asked| asked.command.trace == trace)?;
        Some((asked.command.caller.clone(), asked.command.key.clone()?))
    }
}

impl Command {
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
