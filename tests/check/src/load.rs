//! Concurrent clients, each with its own streams and keys, and with some shared streams.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::{
    Api, Workload,
    history::{Read, SentCommand},
    load_client::LoadClient,
};

/// The number of recent streams that all clients share.
const MAX_SHARED_STREAMS: usize = 64;

/// Tells the time, for durations.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The load of one run.
pub struct Load<W> {
    pub api: Api,
    pub workload: W,
    pub clock: Clock,
    pub clients: u64,
    /// Determines the actions of the clients.
    pub seed: u64,
    /// The name of the run, part of its owners and keys. No earlier run on the system has the same name.
    pub run: String,
    ticks: AtomicU64,
    acknowledged: AtomicU64,
    shared_streams: Mutex<VecDeque<KnownStream>>,
}

#[derive(Clone, Debug)]
pub(crate) struct KnownStream {
    pub(crate) id: String,
    /// The last acknowledged version.
    pub(crate) version: u64,
}

/// The log of one or all clients.
#[derive(Debug, Default)]
pub(crate) struct LoadLog {
    pub(crate) commands: Vec<SentCommand>,
    pub(crate) reads: Vec<Read>,
    /// The number of reads without a response.
    pub(crate) unanswered: usize,
    /// The duration of each request of a command.
    pub(crate) command_times: Vec<SignedDuration>,
    /// The duration of each read.
    pub(crate) read_times: Vec<SignedDuration>,
}

impl<W: Workload> Load<W> {
    pub fn new(api: Api, workload: W, clock: Clock, run: String, clients: u64, seed: u64) -> Self {
        let (ticks, acknowledged, shared_streams) = Default::default();
        Self { api, workload, clock, clients, seed, run, ticks, acknowledged, shared_streams }
    }

    /// Checks that the URL is the service of the workload and accepts the token.
    ///
    /// # Errors
    /// Fails with a message that names the cause.
    pub async fn ping(&self) -> Result<(), String> {
        self.api.ping(&self.workload.list_path(&self.owner(0))).await
    }

    /// Runs all clients while `should_continue` returns true.
    pub(crate) async fn run(&self, should_continue: impl Fn() -> bool) -> LoadLog {
        let logs = join_all((0..self.clients).map(|number| LoadClient::new(self, number).run(&should_continue))).await;
        logs.into_iter().fold(LoadLog::default(), LoadLog::merge)
    }

    /// The number of acknowledged commands so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The owner of the streams that the client with this number begins.
    pub(crate) fn owner(&self, client: u64) -> String {
        format!("check-{}-{client}", self.run)
    }

    /// The next tick of the clock that all clients share.
    pub(crate) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Counts an acknowledged command, and shares its stream with all clients.
    pub(crate) fn acknowledge(&self, stream: KnownStream) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        let mut streams = self.shared_streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|known| known.id != stream.id);
        streams.push_back(stream);
        if streams.len() > MAX_SHARED_STREAMS {
            streams.pop_front();
        }
    }

    /// The shared stream at index `number` modulo their count. `None` if there are none yet.
    pub(crate) fn shared_stream(&self, number: u64) -> Option<KnownStream> {
        let streams = self.shared_streams.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(number).unwrap_or_default().checked_rem(streams.len())?;
        streams.get(index).cloned()
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
