//! The embedded engine behind the SDK's HTTP connector, without a socket.

use std::{fmt, sync::Arc};

use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::HttpRequest,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::interceptor::{EngineCall, http_response};

/// An HTTP client of the SDK that calls an embedded engine.
#[derive(Clone)]
pub struct InProcess {
    pub(super) database: Database,
    /// The SQLite name for a second connection to the database. `None` for a database that allows no second one.
    pub(super) name: Option<Arc<str>>,
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (call, engine) = (EngineCall::of(&request), self.clone());
        HttpConnectorFuture::new(async move {
            // A network call yields in both directions: other tasks run, and an invocation may be dropped meanwhile.
            tokio::task::yield_now().await;
            let (status, body) = match call_engine(&engine.database, &call) {
                Ok(response) => (200, response),
                Err(error) => (error.status_code(), serde_json::from_str(&error.to_json()).unwrap_or_default()),
            };
            tokio::task::yield_now().await;
            http_response(StatusCode::try_from(status), &body)
        })
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

/// Calls the engine's method for the operation.
pub(super) fn call_engine(database: &Database, call: &EngineCall) -> Result<Value, DynoxideError> {
    macro_rules! operations {
        ($($name:literal => $method:ident),* $(,)?) => {
            match call.operation.as_str() {
                $($name => to_json(database.$method(from_json(&call.body)?)?),)*
                other => Err(DynoxideError::ValidationException(format!("the local stack does not support {other}"))),
            }
        };
    }
    operations! {
        "CreateTable" => create_table,
        "DeleteTable" => delete_table,
        "DescribeTable" => describe_table,
        "ListTables" => list_tables,
        "UpdateTable" => update_table,
        "PutItem" => put_item,
        "GetItem" => get_item,
        "UpdateItem" => update_item,
        "DeleteItem" => delete_item,
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "Query" => query,
        "Scan" => scan,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "ListStreams" => list_streams,
        "DescribeStream" => describe_stream,
        "GetShardIterator" => get_shard_iterator,
        "GetRecords" => get_records,
    }
}

fn from_json<T: DeserializeOwned>(body: &Value) -> Result<T, DynoxideError> {
    T::deserialize(body).map_err(|error| DynoxideError::ValidationException(error.to_string()))
}

fn to_json(response: impl Serialize) -> Result<Value, DynoxideError> {
    serde_json::to_value(response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
