//! One client of the load: sends a command once or several times, then reads the changed stream.

use std::{collections::VecDeque, time::Duration};

use crate::{
    Workload,
    history::{Read, ReadSource, Reply, SentCommand},
    load::{KnownStream, Load, LoadLog},
    workload::PlannedCommand,
};

/// The most streams of its own that a client remembers. All of them are on the first page of its list.
const MAX_OWN_STREAMS: usize = 20;
/// The most attempts of a command without an answer.
const MAX_ATTEMPTS: u32 = 8;

pub(crate) struct LoadClient<'a, W> {
    load: &'a Load<W>,
    number: u64,
    step: u64,
    own: VecDeque<KnownStream>,
    log: LoadLog,
}

impl<'a, W: Workload> LoadClient<'a, W> {
    pub(crate) fn new(load: &'a Load<W>, number: u64) -> Self {
        Self { load, number, step: 0, own: VecDeque::new(), log: LoadLog::default() }
    }

    /// Sends commands and reads streams while `should_continue` returns true. Returns the log.
    pub(crate) async fn run(mut self, should_continue: impl Fn() -> bool) -> LoadLog {
        while should_continue() {
            self.step += 1;
            let stream = self.choose_stream();
            let key = format!("{}-{}-{}", self.load.run, self.number, self.step);
            let planned = self.plan(stream.as_ref(), &key);
            // Another command with the same key is not a repeat, and must not be executed.
            let other = self.plan(stream.as_ref(), &format!("{key}-other"));
            let reuses = other.mark != planned.mark && self.roll("reuses the key", 100) < 3;
            let begins = stream.is_none();
            let changed = self.send(&key, planned, begins, &should_continue).await;
            if reuses {
                self.send(&key, other, begins, &should_continue).await;
            }
            match changed {
                Some(known) => self.read_back(known).await,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        self.log
    }

    /// The stream of the next command. `None` begins a new one.
    fn choose_stream(&self) -> Option<KnownStream> {
        match self.roll("stream", 100) {
            0..40 => None,
            40..75 => {
                let index = self.roll("own", self.own.len() as u64);
                self.own.get(usize::try_from(index).unwrap_or_default()).cloned()
            }
            _ => self.load.shared_stream(self.roll("in common", 1 << 20)),
        }
    }

    fn plan(&self, stream: Option<&KnownStream>, mark: &str) -> PlannedCommand {
        let (owner, stream) = (self.load.owner(self.number), stream.map(|stream| stream.id.as_str()));
        self.load.workload.plan(&owner, stream, mark, &|what, sides| self.roll(what, sides))
    }

    /// Sends a command. Usually retries it until it has an answer, and sometimes repeats an answered command.
    async fn send(
        &mut self,
        key: &str,
        planned: PlannedCommand,
        begins: bool,
        should_continue: impl Fn() -> bool,
    ) -> Option<KnownStream> {
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
        let known = command.accepted().map(|(id, version)| KnownStream { id: id.to_owned(), version });
        self.log.commands.push(command);
        let known = known?;
        self.load.acknowledge(known.clone());
        if begins || self.own.iter().any(|own| own.id == known.id) {
            self.own.retain(|own| own.id != known.id);
            self.own.push_back(known.clone());
            let excess = self.own.len().saturating_sub(MAX_OWN_STREAMS);
            self.own.drain(..excess);
        }
        Some(known)
    }

    async fn send_once(&mut self, key: &str, command: &PlannedCommand) -> Reply {
        let began = self.load.now();
        let reply = self.load.api.command(&self.load.workload, key, command).await;
        self.log.command_times.push(self.load.now().duration_since(began));
        reply
    }

    /// Reads a changed stream through one of the routes that promise to show the change.
    async fn read_back(&mut self, KnownStream { id, version }: KnownStream) {
        let workload = &self.load.workload;
        let own = self.own.iter().any(|own| own.id == id);
        let (source, at_least, path) = match self.roll("reads", 100) {
            0..40 => (ReadSource::View, version, format!("{}?min_version={version}", workload.view_path(&id))),
            // Without `min_version`, the view may be older, but it must exist.
            40..55 => (ReadSource::View, 1, workload.view_path(&id)),
            55..70 => (ReadSource::Events, version, workload.events_path(&id)),
            70..90 if own => {
                let list = workload.list_path(&self.load.owner(self.number));
                (ReadSource::List, version, format!("{list}?limit=100&min_version={id}:{version}"))
            }
            _ => return,
        };
        let began = self.load.now();
        let read = self.load.api.read(&path).await;
        self.log.read_times.push(self.load.now().duration_since(began));
        let Ok(document) = read else {
            self.log.unanswered += 1;
            return;
        };
        let document = document.unwrap_or_default();
        let state = match source {
            ReadSource::View => workload.state(&document),
            ReadSource::Events => workload.events(&id, &document).pop().map(Into::into),
            ReadSource::List => {
                let mut rows = workload.rows(&document).into_iter();
                rows.find(|row| workload.stream(row).as_ref() == Some(&id)).and_then(|row| workload.state(&row))
            }
        };
        self.log.reads.push(Read { source, stream: id, at_least, state });
    }

    /// A number below `sides` that depends on the seed, the client, the step and `what`.
    fn roll(&self, what: &str, sides: u64) -> u64 {
        let [seed, client, step] = [self.load.seed, self.number, self.step].map(|number| number.to_string());
        // The fixed bits of a UUID have different positions in its two halves.
        let (high, low) = cqrs::derived_id(&["check", &seed, &client, &step, what]).as_u64_pair();
        (high ^ low).checked_rem(sides).unwrap_or_default()
    }
}
