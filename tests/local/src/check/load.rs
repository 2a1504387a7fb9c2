//! Concurrent clients, each with its own customer and keys, and with some shared orders.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use cqrs_dynamodb::Environment;
use futures_util::future::join_all;
use jiff::SignedDuration;

use super::{
    Api,
    history::{Read, SentCommand},
    load_client::LoadClient,
};

/// The number of recent orders that all clients share.
const MAX_SHARED_ORDERS: usize = 64;

pub struct Load {
    pub api: Api,
    pub environment: Environment,
    pub clients: u64,
    /// Determines the actions of the clients.
    pub seed: u64,
    /// Random name of the run, part of its customers and keys.
    pub run: String,
    ticks: AtomicU64,
    acknowledged: AtomicU64,
    shared_orders: Mutex<VecDeque<KnownOrder>>,
}

#[derive(Clone, Debug)]
pub(super) struct KnownOrder {
    pub(super) id: String,
    /// The last acknowledged version.
    pub(super) version: u64,
}

/// The log of one or all clients.
#[derive(Debug, Default)]
pub struct LoadLog {
    pub commands: Vec<SentCommand>,
    pub reads: Vec<Read>,
    /// The number of reads without a response.
    pub unanswered: usize,
    /// The duration of each request of a command.
    pub command_times: Vec<SignedDuration>,
    /// The duration of each read.
    pub read_times: Vec<SignedDuration>,
}

impl Load {
    pub fn new(api: Api, environment: Environment, clients: u64, seed: u64) -> Self {
        let run = format!("{:08x}", environment.random_below(1 << 32));
        let (ticks, acknowledged, shared_orders) = Default::default();
        Self { api, environment, clients, seed, run, ticks, acknowledged, shared_orders }
    }

    /// Runs all clients while `should_continue` returns true.
    pub async fn run(&self, should_continue: impl Fn() -> bool) -> LoadLog {
        let logs = join_all((0..self.clients).map(|number| LoadClient::new(self, number).run(&should_continue))).await;
        logs.into_iter().fold(LoadLog::default(), LoadLog::merge)
    }

    /// The number of acknowledged commands so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The customer id of the client with this number.
    pub(super) fn customer(&self, client: u64) -> String {
        format!("check-{}-{client}", self.run)
    }

    /// The next tick of the clock that all clients share.
    pub(super) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Counts an acknowledged command, and shares its order with all clients.
    pub(super) fn acknowledge(&self, order: KnownOrder) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        let mut orders = self.shared_orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.retain(|known| known.id != order.id);
        orders.push_back(order);
        if orders.len() > MAX_SHARED_ORDERS {
            orders.pop_front();
        }
    }

    /// The shared order at index `number` modulo their count. `None` if there are none yet.
    pub(super) fn shared_order(&self, number: u64) -> Option<KnownOrder> {
        let orders = self.shared_orders.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(number).unwrap_or_default().checked_rem(orders.len())?;
        orders.get(index).cloned()
    }
}

impl LoadLog {
    fn merge(mut self, other: Self) -> Self {
        self.commands.extend(other.commands);
        self.reads.extend(other.reads);
        self.unanswered += other.unanswered;
        self.command_times.extend(other.command_times);
        self.read_times.extend(other.read_times);
        self
    }
}
