//! Storage of the embedded engine in memory or in a file, with indexes that the engine lacks.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use dynoxide::{Database, storage_backend::ManualClock};
use rusqlite::Connection;

use super::in_process::InProcess;

/// Indexes for the last sequence number of a table (read by every write) and of a shard (read by every poll).
///
/// Without them the engine reads all records of the stream each time, and is four times slower after 8,000 records
/// (dynoxide-rs 3.2.0, `Storage::next_stream_sequence_number` and `get_shard_sequence_range`).
const INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS local_stream_records_of_table
        ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
    CREATE INDEX IF NOT EXISTS local_stream_records_of_shard
        ON _stream_records (table_name, shard_id, CAST(sequence_number AS INTEGER));";

/// An empty database in memory.
pub(super) fn in_memory() -> Result<InProcess, String> {
    // A unique name per database lets `index` open a second connection to it.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    open(&format!("file:local-{number}?mode=memory&cache=shared"))
}

/// An empty database in memory with a fixed clock, so that every run is identical.
pub(super) fn in_memory_at(seconds: u64) -> Result<InProcess, String> {
    let database = Database::memory_with_clock(ManualClock::new(seconds).arc()).map_err(|error| error.to_string())?;
    Ok(InProcess { database, name: None })
}

/// The database in `directory`. Creates the directory if it is missing. The data survives SIGKILL.
pub(super) fn on_disk(directory: &Path) -> Result<InProcess, String> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let file = directory.join("dynamodb.sqlite");
    open(file.to_str().ok_or("the directory's name is not UTF-8")?)
}

/// Indexes a table in the order of a segmented scan. Without this index, every page of a segment reads the table to its
/// end (dynoxide-rs 3.2.0, `sql_builders::scan_items`).
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
