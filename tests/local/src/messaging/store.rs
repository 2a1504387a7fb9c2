//! Storage of queues and schedules in a file that survives SIGKILL.

use std::{collections::BTreeMap, path::Path, time::Duration};

use rusqlite::{Connection, params};
use serde::{Serialize, de::DeserializeOwned};

use super::{queue::Queue, queues::Queues, schedule::Scheduler};

/// Entries of all kinds in JSON. The owner of a message is its queue, and that of a schedule its group.
const TABLE: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS entries (
        kind TEXT NOT NULL, owner TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (kind, owner, key)
    ) WITHOUT ROWID;";
const MESSAGE: &str = "message";
const ACCEPTED: &str = "accepted";
const SCHEDULE: &str = "schedule";
const CLOCK: &str = "clock";

/// A file with the messages of all queues, the schedules, and the clock.
///
/// Each call writes its changes in one transaction before it responds. So a caller that has a response finds its change
/// after SIGKILL. A caller without one repeats the call, as it does when a response is lost.
#[derive(Debug)]
pub struct MessagingStore {
    connection: Connection,
}

/// An entry to write. A value of `None` removes it.
struct Change {
    kind: &'static str,
    owner: String,
    key: String,
    value: Option<String>,
}

impl MessagingStore {
    /// Opens the file in `directory`. Creates both if they are missing.
    ///
    /// # Errors
    /// Fails if the file cannot be opened.
    pub fn open(directory: &Path) -> Result<Self, String> {
        let describe = |error: &dyn std::fmt::Display| format!("{}: {error}", directory.display());
        std::fs::create_dir_all(directory).map_err(|error| describe(&error))?;
        let connection = Connection::open(directory.join("messaging.sqlite")).map_err(|error| describe(&error))?;
        connection.execute_batch(TABLE).map_err(|error| describe(&error))?;
        Ok(Self { connection })
    }

    /// Fills a queue with its stored messages.
    ///
    /// # Errors
    /// Fails if an entry cannot be read.
    pub fn restore_queue(&self, name: &str, queue: Queue) -> Result<Queue, String> {
        let messages = self.read(MESSAGE, name)?.into_iter().map(|(sequence, message)| {
            let sequence = sequence.parse().map_err(|_| format!("the message {sequence} has no sequence number"))?;
            Ok((sequence, message))
        });
        let accepted = self.read(ACCEPTED, name)?;
        Ok(Queue::restored(queue.definition, messages.collect::<Result<_, String>>()?, accepted))
    }

    /// Returns a scheduler with the stored schedules of these groups.
    ///
    /// # Errors
    /// Fails if an entry cannot be read.
    pub fn restore_scheduler(&self, groups: Vec<String>) -> Result<Scheduler, String> {
        let mut schedules = BTreeMap::new();
        for group in groups.iter().map(String::as_str).chain(["default"]) {
            let of_group = self.read(SCHEDULE, group)?.into_iter();
            schedules.extend(of_group.map(|(name, schedule)| ((group.to_owned(), name), schedule)));
        }
        Ok(Scheduler::restored(groups, schedules))
    }

    /// Writes the changes of all queues and schedules in one transaction.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write(&mut self, queues: &mut Queues, scheduler: &mut Scheduler) -> Result<(), String> {
        let mut changes = Vec::new();
        for (name, queue) in &mut queues.0 {
            let changed = queue.take_changes();
            for (sequence, message) in changed.messages {
                changes.push(Change::new(MESSAGE, name, sequence.to_string(), message)?);
            }
            for (id, accepted) in changed.accepted {
                changes.push(Change::new(ACCEPTED, name, id, accepted)?);
            }
        }
        for ((group, name), schedule) in scheduler.take_changes() {
            changes.push(Change::new(SCHEDULE, &group, name, schedule)?);
        }
        self.apply(&changes).map_err(|error| error.to_string())
    }

    /// Returns the stored time by which the clock is ahead.
    ///
    /// # Errors
    /// Fails if the entry cannot be read.
    pub fn clock(&self) -> Result<Duration, String> {
        let milliseconds: BTreeMap<String, u64> = self.read(CLOCK, "")?;
        Ok(Duration::from_millis(milliseconds.into_values().next().unwrap_or_default()))
    }

    /// Stores the time by which the clock is ahead.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn set_clock(&mut self, ahead: Duration) -> Result<(), String> {
        let milliseconds = u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX);
        let change = Change::new(CLOCK, "", "ahead".to_owned(), Some(&milliseconds))?;
        self.apply(&[change]).map_err(|error| error.to_string())
    }

    fn read<T: DeserializeOwned>(&self, kind: &str, owner: &str) -> Result<BTreeMap<String, T>, String> {
        let describe = |error: rusqlite::Error| format!("reading stored messages failed: {error}");
        let query = "SELECT key, value FROM entries WHERE kind = ?1 AND owner = ?2";
        let mut query = self.connection.prepare(query).map_err(describe)?;
        let rows = query.query_map([kind, owner], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
        rows.map_err(describe)?
            .map(|row| {
                let (key, value) = row.map_err(describe)?;
                let value = serde_json::from_str(&value);
                Ok((key.clone(), value.map_err(|error| format!("the stored {kind} {key} cannot be read: {error}"))?))
            })
            .collect()
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), rusqlite::Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        for Change { kind, owner, key, value } in changes {
            match value {
                Some(value) => transaction.execute(
                    "INSERT OR REPLACE INTO entries (kind, owner, key, value) VALUES (?1, ?2, ?3, ?4)",
                    params![kind, owner, key, value],
                )?,
                None => transaction.execute(
                    "DELETE FROM entries WHERE kind = ?1 AND owner = ?2 AND key = ?3",
                    params![kind, owner, key],
                )?,
            };
        }
        transaction.commit()
    }
}

impl Change {
    fn new(kind: &'static str, owner: &str, key: String, value: Option<&impl Serialize>) -> Result<Self, String> {
        let value = value.map(serde_json::to_string).transpose().map_err(|error| error.to_string())?;
        Ok(Self { kind, owner: owner.to_owned(), key, value })
    }
}
