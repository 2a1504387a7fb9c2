//! A command as clients send it: over HTTP as the body of a request, or in a message to a queue.

use cqrs::{Aggregate, Scope};
use serde::de::DeserializeOwned;

use super::{CommandExecutor, RemoteAggregate};
use crate::{Caller, Problem};

/// The document of a command, with what a route and a queue must know of it. It is declared once for both.
///
/// The type is a struct with `#[serde(deny_unknown_fields, expecting = "an object")]`.
pub trait CommandDocument: DeserializeOwned + Send + 'static {
    type Aggregate: RemoteAggregate;

    /// The name of the command in kebab case, such as `ship`. A message to a queue has the type `ship-order`.
    const NAME: &'static str;
    /// A caller needs one of them.
    const SCOPES: &'static [Scope];
    /// The instance that the command changes.
    const TARGET: CommandTarget<Self::Aggregate> = CommandTarget::Existing;

    /// Builds the command, with the defaults that depend on the caller.
    ///
    /// # Errors
    /// 422 with all invalid fields, or 403 if the caller may not send this document.
    fn into_command(self, caller: &Caller) -> Result<<Self::Aggregate as Aggregate>::Command, Problem>;

    /// Returns whether the caller may command an instance in this state. If not, the caller gets 404.
    fn is_authorized(caller: &Caller, state: &Self::Aggregate) -> bool {
        let _ = (caller, state);
        true
    }
}

/// The instance that a command changes.
#[derive(Debug)]
pub enum CommandTarget<A: Aggregate> {
    /// A new one. The function returns its key, for example [`CommandExecutor::new_id`].
    New(fn(&CommandExecutor<'_>) -> A::Key),
    /// The one that the request names. It must exist.
    Existing,
    /// The one that the request names. The command creates it if it does not exist.
    NewOrExisting,
}
