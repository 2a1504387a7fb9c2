//! Files of an event source mapping: the checkpoint, and the discarded batches.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    process,
};

use serde_json::Value;

/// The local on-failure destination: a line of JSON for each discarded batch.
const ON_FAILURE: &str = "on-failure.jsonl";
/// The beginning of the names of files with a checkpoint.
const POSITION: &str = "position";

/// The files of a mapping. By default, nothing is stored.
#[derive(Clone, Debug)]
pub struct MappingFiles {
    directory: Option<PathBuf>,
    /// The name of the file with the checkpoint.
    position: String,
    on_failure: Option<PathBuf>,
}

impl Default for MappingFiles {
    fn default() -> Self {
        Self { directory: None, position: POSITION.to_owned(), on_failure: None }
    }
}

impl MappingFiles {
    /// Stores the checkpoint and the discarded batches in `directory`.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self { on_failure: Some(directory.join(ON_FAILURE)), directory: Some(directory), ..Self::default() }
    }

    /// Stores only the discarded batches, in a temporary directory.
    pub fn discarded_only() -> Self {
        Self {
            on_failure: Some(env::temp_dir().join(format!("local-{}-{ON_FAILURE}", process::id()))),
            ..Self::default()
        }
    }

    /// Stores the checkpoint in a file of its own for this function.
    #[must_use]
    pub fn of_function(self, name: &str) -> Self {
        Self { position: format!("{POSITION}-{name}"), ..self }
    }

    /// The sequence number up to which all records are finished.
    pub fn checkpoint(&self) -> Option<String> {
        let text = fs::read_to_string(self.directory.as_ref()?.join(&self.position)).ok()?;
        Some(text.trim().to_owned()).filter(|checkpoint| !checkpoint.is_empty())
    }

    /// Replaces the checkpoint atomically. Only logs errors: an old checkpoint repeats records, which changes nothing.
    pub fn save_checkpoint(&self, sequence_number: &str) {
        let Some(directory) = &self.directory else { return };
        let new = directory.join(format!("{}.new", self.position));
        let saved = fs::write(&new, sequence_number).and_then(|()| fs::rename(&new, directory.join(&self.position)));
        if let Err(error) = saved {
            tracing::error!("saving the checkpoint failed: {error}");
        }
    }

    /// Writes the message of a discarded batch to the on-failure destination and to the log.
    pub fn record_discarded(&self, message: &Value) {
        tracing::error!(on_failure = %message, file = ?self.on_failure, "discarded a batch");
        let Some(on_failure) = &self.on_failure else { return };
        let file = OpenOptions::new().create(true).append(true).open(on_failure);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{message}")) {
            tracing::error!("writing to the on-failure destination failed: {error}");
        }
    }
}
