//! The file in which a rebuild saves its checkpoint.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path};

use app::{App, tables::EVENTS};
use cqrs::Domain;
use cqrs_dynamodb::StoreError;
use messaging::publisher::projector_of_all;
use serde::{Deserialize, Serialize};

use super::commands::CliError;
use crate::{segments::Checkpoint, with_causes};

/// The checkpoint file of one rebuild.
pub(super) struct CheckpointFile<'a> {
    path: &'a Path,
    rebuild: RebuildIdentity,
}

#[derive(Serialize, Deserialize)]
struct SavedCheckpoint {
    #[serde(rename = "of")]
    rebuild: RebuildIdentity,
    checkpoint: Checkpoint,
}

/// Identifies a rebuild: a checkpoint is valid only for the same system, the same schema versions and the same option
/// `--counters`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct RebuildIdentity {
    /// The ARN of the events table.
    table: String,
    /// The creation time of the events table, in seconds since 1970.
    created: Option<i64>,
    /// The schema version of each projection, by name.
    schemas: BTreeMap<String, u32>,
    /// The rebuild includes the counters.
    #[serde(default)]
    counters: bool,
}

impl<'a> CheckpointFile<'a> {
    /// Returns the checkpoint file at `path` for a rebuild of this system. The file need not exist yet.
    ///
    /// # Errors
    /// If the events table cannot be described.
    pub(super) async fn open<D: Domain>(path: &'a Path, app: &App, counters: bool) -> Result<Self, CliError> {
        let table = app.tables.get(EVENTS).map_err(|error| with_causes(&error))?;
        let described = app.dynamo.client.describe_table().table_name(&*table).send().await;
        let failed =
            |error| format!("cannot describe the events table: {}", with_causes(&StoreError::from_read(error)));
        let described = described.map_err(failed)?.table;
        let projector = projector_of_all::<D>(app).map_err(|error| error.to_string())?;
        let rebuild = RebuildIdentity {
            created: described.as_ref().and_then(|table| table.creation_date_time).map(|time| time.secs()),
            table: described.and_then(|table| table.table_arn).unwrap_or_else(|| table.to_string()),
            schemas: projector.projections().into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect(),
            counters,
        };
        Ok(Self { path, rebuild })
    }

    pub(super) fn path(&self) -> &Path {
        self.path
    }

    /// Returns the saved checkpoint, or `None` if the file does not exist.
    ///
    /// # Errors
    /// If the file cannot be read, or belongs to another rebuild.
    pub(super) fn load(&self) -> Result<Option<Checkpoint>, CliError> {
        let path = self.path.display();
        let text = match fs::read(self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{path}: {error}")),
        };
        let saved: SavedCheckpoint =
            serde_json::from_slice(&text).map_err(|error| format!("{path} is not a checkpoint file: {error}"))?;
        if saved.rebuild != self.rebuild {
            return Err(format!(
                "{path} belongs to another system, other schema versions or another kind of rebuild; remove it or pass \
                 another file"
            ));
        }
        Ok(Some(saved.checkpoint))
    }

    /// Saves the checkpoint atomically: after a crash, the file has this checkpoint or the previous one.
    pub(super) fn save(&self, checkpoint: &Checkpoint) {
        let saved = SavedCheckpoint { rebuild: self.rebuild.clone(), checkpoint: checkpoint.clone() };
        let temporary = self.path.with_extension("new");
        let text = serde_json::to_vec(&saved).map_err(Into::into);
        let written = text.and_then(|text| fs::write(&temporary, text));
        if written.and_then(|()| fs::rename(&temporary, self.path)).is_err() {
            eprintln!("cargo operate: cannot save the checkpoint to {}", self.path.display());
        }
    }

    pub(super) fn remove(&self) {
        drop(fs::remove_file(self.path));
    }
}
