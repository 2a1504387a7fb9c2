//! Where the embedded engine keeps its data, and an index that it lacks.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use dynoxide::Database;
use rusqlite::Connection;

/// The engine asks for the last sequence number of a table with every write. Without this index it reads all records of
/// the stream for it, and is four times slower after 8,000 of them. (dynoxide-rs 3.2.0,
/// `Storage::next_stream_sequence_number`.)
const INDEX: &str = "CREATE INDEX IF NOT EXISTS local_stream_records_by_sequence
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// An empty database in memory.
pub(super) fn in_memory() -> Result<Database, String> {
    // Each has a name of its own, by which a second connection can come to it.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    open(&format!("file:local-{number}?mode=memory&cache=shared"))
}

/// The database in this directory, which is made if there is none. It outlives a process that is killed.
pub(super) fn on_disk(directory: &Path) -> Result<Database, String> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let file = directory.join("dynamodb.sqlite");
    open(file.to_str().ok_or("the directory's name is not UTF-8")?)
}

fn open(path: &str) -> Result<Database, String> {
    let database = Database::new(path).map_err(|error| format!("{path}: {error}"))?;
    let connection = Connection::open(path).map_err(|error| format!("{path}: {error}"))?;
    connection.execute_batch(INDEX).map_err(|error| format!("{path}: {error}"))?;
    Ok(database)
}
