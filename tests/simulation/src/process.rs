//! Processes of the system. Each has its own cache of the generations of counters.

use app::App;
use cqrs_dynamodb::{Dynamo, Environment};

/// Returns the dependencies of another process, with a clock and randomness of its own.
pub fn process(app: &App, environment: Environment) -> App {
    App { dynamo: Dynamo::new(app.dynamo.client.clone(), environment), ..app.clone() }
}
