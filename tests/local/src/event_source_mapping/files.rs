//! What a mapping keeps in files: how far it has come, and what it gave up.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    process,
};

use serde_json::Value;

/// What the file of the batches that were given up is called.
const FAILURES: &str = "on-failure.jsonl";

/// Files of a mapping; by default, nothing is kept.
#[derive(Clone, Debug, Default)]
pub struct MappingFiles {
    directory: Option<PathBuf>,
    failures: Option<PathBuf>,
}

impl MappingFiles {
    /// Position and failures in this directory.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self { failures: Some(directory.join(FAILURES)), directory: Some(directory) }
    }

    /// Failures alone, in a directory for what need not stay.
    pub fn discarded_only() -> Self {
        Self { directory: None, failures: Some(env::temp_dir().join(format!("local-{}-{FAILURES}", process::id()))) }
    }

    /// The last sequence number that was done with, all before it included.
    pub fn checkpoint(&self) -> Option<String> {
        let text = fs::read_to_string(self.directory.as_ref()?.join("position")).ok()?;
        Some(text.trim().to_owned()).filter(|position| !position.is_empty())
    }

    /// Keeps the position. It is replaced at once or not at all, and one that is behind does no harm: records that come
    /// again change nothing.
    pub fn save_checkpoint(&self, position: &str) {
        let Some(directory) = &self.directory else { return };
        let new = directory.join("position.new");
        let kept = fs::write(&new, position).and_then(|()| fs::rename(&new, directory.join("position")));
        if let Err(error) = kept {
            tracing::error!("the position in the stream is not kept: {error}");
        }
    }

    /// Tells the on-failure destination, a line of JSON in a file, and the log.
    pub fn record_discarded(&self, message: &Value) {
        tracing::error!(on_failure = %message, file = ?self.failures, "a batch was given up");
        let Some(failures) = &self.failures else { return };
        let file = OpenOptions::new().create(true).append(true).open(failures);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{message}")) {
            tracing::error!("a batch that was given up is not kept: {error}");
        }
    }
}
