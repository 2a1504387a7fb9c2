//! Many clients at once, each with customers and keys of its own, and some orders in common.

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

/// How many of the last orders any client may take up.
const IN_COMMON: usize = 64;

/// A load on a system.
pub struct Load {
    /// The system.
    pub api: Api,
    /// The clock.
    pub environment: Environment,
    /// How many clients there are.
    pub clients: u64,
    /// What the clients do is drawn from this.
    pub seed: u64,
    /// What this run is called: no other run has its customers and keys.
    pub run: String,
    ticks: AtomicU64,
    acknowledged: AtomicU64,
    in_common: Mutex<VecDeque<KnownOrder>>,
}

/// An order, as far as a client knows it.
#[derive(Clone, Debug)]
pub(super) struct KnownOrder {
    pub(super) id: String,
    /// The last version that was acknowledged.
    pub(super) version: u64,
}

/// What became of the load.
#[derive(Debug, Default)]
pub struct LoadLog {
    /// What was commanded.
    pub commands: Vec<SentCommand>,
    /// What was read.
    pub reads: Vec<Read>,
    /// How many reads were not answered.
    pub unanswered: usize,
    /// How long each attempt of a command took.
    pub command_times: Vec<SignedDuration>,
    /// How long each read took.
    pub read_times: Vec<SignedDuration>,
}

impl Load {
    /// The load of so many clients, who do what `seed` says.
    pub fn new(api: Api, environment: Environment, clients: u64, seed: u64) -> Self {
        let run = format!("{:08x}", environment.random_below(1 << 32));
        let (ticks, acknowledged, in_common) = Default::default();
        Self { api, environment, clients, seed, run, ticks, acknowledged, in_common }
    }

    /// Lets all clients do what they do, as long as it is to go on.
    pub async fn run(&self, should_continue: impl Fn() -> bool) -> LoadLog {
        let logs = join_all((0..self.clients).map(|number| LoadClient::new(self, number).run(&should_continue))).await;
        logs.into_iter().fold(LoadLog::default(), LoadLog::and)
    }

    /// How many commands were acknowledged up to now.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The customer of the client with this number.
    pub(super) fn customer(&self, client: u64) -> String {
        format!("check-{}-{client}", self.run)
    }

    /// What the clock says that all clients share: it goes on with each look.
    pub(super) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Lets all clients know that a command was acknowledged.
    pub(super) fn acknowledge(&self, order: KnownOrder) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        let mut orders = self.in_common.lock().unwrap_or_else(PoisonError::into_inner);
        orders.retain(|known| known.id != order.id);
        orders.push_back(order);
        if orders.len() > IN_COMMON {
            orders.pop_front();
        }
    }

    /// One of the last orders, whoever placed it.
    pub(super) fn in_common(&self, place: u64) -> Option<KnownOrder> {
        let orders = self.in_common.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(place).unwrap_or_default().checked_rem(orders.len())?;
        orders.get(place).cloned()
    }
}

impl LoadLog {
    fn and(mut self, other: Self) -> Self {
        self.commands.extend(other.commands);
        self.reads.extend(other.reads);
        self.unanswered += other.unanswered;
        self.command_times.extend(other.command_times);
        self.read_times.extend(other.read_times);
        self
    }
}
