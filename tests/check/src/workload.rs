//! The commands, paths and documents of one domain, as the checker uses them.

use serde_json::Value;

use crate::history::{RecordedEvent, StreamState};

/// The commands and the API of one domain.
///
/// The checker relies on the conventions of the toolkit's API: the header `Idempotency-Key`, `min_version` in queries,
/// `version` in documents, and `limit`, `cursor` and `next_cursor` in lists.
pub trait Workload: Sync {
    /// Plans a command on `stream`, or one that begins a stream of `owner` if there is none.
    ///
    /// The command writes `mark` into its event, so that [`events`](Self::events) finds it there. `roll` gives a number
    /// below its second argument, and the same number for the same text.
    fn plan(&self, owner: &str, stream: Option<&str>, mark: &str, roll: &dyn Fn(&str, u64) -> u64) -> PlannedCommand;

    /// The path of the view of a stream.
    fn view_path(&self, stream: &str) -> String;

    /// The path of the events of a stream.
    fn events_path(&self, stream: &str) -> String;

    /// The path of the list of all streams of an owner.
    fn list_path(&self, owner: &str) -> String;

    /// The id of the stream in a reply to a command, and in a row of a list.
    fn stream(&self, document: &Value) -> Option<String>;

    /// The state in a view, and in a row of a list.
    fn state(&self, document: &Value) -> Option<StreamState>;

    /// The rows of a list.
    fn rows(&self, list: &Value) -> Vec<Value>;

    /// The events in an answer of [`events_path`](Self::events_path).
    fn events(&self, stream: &str, document: &Value) -> Vec<RecordedEvent>;
}

/// A command that the checker sends, once or several times.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedCommand {
    pub path: String,
    pub body: Value,
    /// The text in the command's event that identifies the command.
    pub mark: String,
}
