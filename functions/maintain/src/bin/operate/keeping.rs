//! The file in which a rebuild keeps how far it is.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path};

use app::{App, problem::causes};
use maintain::{projector, segments::Progress};
use serde::{Deserialize, Serialize};

use crate::commands::Trouble;

/// A file for a rebuild of this system by this code.
pub(crate) struct Keeping<'a> {
    file: &'a Path,
    rebuild: Rebuild,
}

/// What is in it.
#[derive(Serialize, Deserialize)]
struct Kept {
    of: Rebuild,
    progress: Progress,
}

/// What is rebuilt: another system, or another schema, is another rebuild.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Rebuild {
    /// The events table, and when it was made: in seconds since 1970.
    table: String,
    made: Option<i64>,
    /// The projections, and the schemas of their views.
    schemas: BTreeMap<String, u32>,
}

impl<'a> Keeping<'a> {
    /// A file for a rebuild of the system that `app` works with.
    ///
    /// # Errors
    /// If the events table cannot be described.
    pub(crate) async fn at(file: &'a Path, app: &App) -> Result<Self, Trouble> {
        let described = app.dynamo.client.describe_table().table_name(&*app.tables.events).send().await;
        let described =
            described.map_err(|error| format!("the events table cannot be described: {}", causes(&error)))?.table;
        let rebuild = Rebuild {
            made: described.as_ref().and_then(|table| table.creation_date_time).map(|time| time.secs()),
            table: described.and_then(|table| table.table_arn).unwrap_or_else(|| app.tables.events.to_string()),
            schemas: projector(app).projections().into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect(),
        };
        Ok(Self { file, rebuild })
    }

    /// How far the rebuild is; `None` at its beginning.
    ///
    /// # Errors
    /// If the file cannot be read, or is of another rebuild.
    pub(crate) fn progress(&self) -> Result<Option<Progress>, Trouble> {
        let file = self.file.display();
        let text = match fs::read(self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{file}: {error}")),
        };
        let kept: Kept = serde_json::from_slice(&text).map_err(|error| format!("{file} cannot be read: {error}"))?;
        if kept.of != self.rebuild {
            return Err(format!("{file} is of another system or of other schemas: remove it, or give another file"));
        }
        Ok(Some(kept.progress))
    }

    /// Keeps it. The file is written beside its place and moved there: a kill leaves the one before, or this one.
    pub(crate) fn keep(&self, progress: &Progress) {
        let kept = Kept { of: self.rebuild.clone(), progress: progress.clone() };
        let beside = self.file.with_extension("new");
        let text = serde_json::to_vec(&kept).map_err(Into::into);
        if text.and_then(|text| fs::write(&beside, text)).and_then(|()| fs::rename(&beside, self.file)).is_err() {
            eprintln!("cargo operate: {} cannot be written; after a kill it begins anew", self.file.display());
        }
    }

    /// There is nothing to go on with.
    pub(crate) fn forget(&self) {
        drop(fs::remove_file(self.file));
    }
}
