//! Where the embedded engine keeps its data, and indexes that it lacks.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use dynoxide::{Database, storage_backend::ManualClock};
use rusqlite::Connection;

use super::in_process::InProcess;

/// The engine asks for the last sequence number of a table with every write, and of a shard with every look at the
/// stream. Without these indexes it reads all records of the stream for it, and is four times slower after 8,000 of
/// them. (dynoxide-rs 3.2.0, `Storage::next_stream_sequence_number` and `get_shard_sequence_range`.)
const INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS local_stream_records_of_table
        ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
    CREATE INDEX IF NOT EXISTS local_stream_records_of_shard
        ON _stream_records (table_name, shard_id, CAST(sequence_number AS INTEGER));";

/// An empty database in memory.
pub(super) fn in_memory() -> Result<InProcess, String> {
    // Each has a name of its own, by which a second connection can come to it.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    open(&format!("file:local-{number}?mode=memory&cache=shared"))
}

/// An empty database in memory whose clock stands still, so that it does the same in every run.
pub(super) fn in_memory_at(seconds: u64) -> Result<InProcess, String> {
    let database = Database::memory_with_clock(ManualClock::new(seconds).arc()).map_err(|error| error.to_string())?;
    Ok(InProcess { database, name: None })
}

/// The database in this directory, which is made if there is none. It outlives a process that is killed.
pub(super) fn on_disk(directory: &Path) -> Result<InProcess, String> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let file = directory.join("dynamodb.sqlite");
    open(file.to_str().ok_or("the directory's name is not UTF-8")?)
}

/// Indexes a table in the order in which segments of it are scanned. Without that, every page of a segment reads the
/// table to its end. (dynoxide-rs 3.2.0, `sql_builders::scan_items`.)
pub(super) fn index(name: &str, table: &str) -> Result<(), String> {
    let table = table.replace('"', "\"\"");
    let index = format!(r#"CREATE INDEX IF NOT EXISTS "local_scan_of_{table}" ON "{table}" (hash_prefix, pk, sk)"#);
    let connection = Connection::open(name).map_err(|error| format!("{name}: {error}"))?;
    connection.execute_batch(&index).map_err(|error| format!("{table}: {error}"))
}

fn open(path: &str) -> Result<InProcess, String> {
    let database = Database::new(path).map_err(|error| format!("{path}: {error}"))?;
    let connection = Connection::open(path).map_err(|error| format!("{path}: {error}"))?;
    connection.execute_batch(INDEXES).map_err(|error| format!("{path}: {error}"))?;
    Ok(InProcess { database, name: Some(path.into()) })
}
