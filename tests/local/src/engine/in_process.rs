//! The embedded engine behind the SDK's own HTTP seam: no socket, and a place for tests to watch and to interfere.

use std::{fmt, sync::Arc};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// A transport of the SDK that ends in an embedded engine.
#[derive(Clone)]
pub struct InProcess {
    database: Database,
    wire: Option<Arc<dyn Wire>>,
}

/// What lies between the SDK and the engine.
pub trait Wire: Send + Sync {
    /// Before a call: may change it, and says what becomes of it.
    fn before(&self, call: &mut Call) -> Fault {
        let _ = call;
        Fault::None
    }

    /// After a call that the engine has answered: may change the answer.
    fn after(&self, call: &Call, answer: &mut Value) {
        let _ = (call, answer);
    }
}

/// A call of the DynamoDB API.
#[derive(Clone, Debug)]
pub struct Call {
    /// Such as `PutItem`.
    pub operation: String,
    /// The request.
    pub body: Value,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing out of the ordinary.
    None,
    /// The engine never sees it: it is throttled.
    Throttled,
    /// The engine never sees it: a transaction that collides with another one on its first item.
    Conflict,
    /// The engine never sees it: 500.
    ServerError,
    /// The engine never sees it: access is denied.
    AccessDenied,
    /// The engine never sees it: the connection is lost.
    Lost,
    /// The engine never sees it, and no answer ever comes.
    Unheard,
    /// The engine carries it out, and the answer is lost.
    AnswerLost,
    /// The engine carries it out, and no answer ever comes.
    Silence,
}

impl InProcess {
    /// A transport to `database`.
    pub fn new(database: Database) -> Self {
        Self { database, wire: None }
    }

    /// The same engine, with `wire` in between.
    #[must_use]
    pub fn over(&self, wire: Arc<dyn Wire>) -> Self {
        Self { database: self.database.clone(), wire: Some(wire) }
    }

    /// The transport without anything in between.
    pub(crate) fn without_wire(&self) -> SharedHttpClient {
        SharedHttpClient::new(Self::new(self.database.clone()))
    }

    /// Carries out a call at once, past all that is in between.
    ///
    /// # Errors
    /// What the engine says.
    pub fn call(&self, operation: &str, body: Value) -> Result<Value, String> {
        let call = Call { operation: operation.to_owned(), body };
        carry_out(&self.database, &call).map_err(|error| error.to_string())
    }

    /// The engine.
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    async fn answer(&self, mut call: Call) -> Result<(u16, Value), ConnectorError> {
        let fault = self.wire.as_ref().map_or(Fault::None, |wire| wire.before(&mut call));
        // A call takes a moment each way, in which others go on and an invocation may end.
        tokio::task::yield_now().await;
        let refuse = |status, kind: &str| Ok((status, json!({ "__type": kind, "message": "injected" })));
        match fault {
            Fault::Conflict => return Ok((400, conflict(&call))),
            Fault::Throttled => return refuse(400, "com.amazonaws.dynamodb.v20120810#ThrottlingException"),
            Fault::ServerError => return refuse(500, "com.amazonaws.dynamodb.v20120810#InternalServerError"),
            Fault::AccessDenied => return refuse(400, "com.amazon.coral.service#AccessDeniedException"),
            Fault::Unheard => std::future::pending().await,
            Fault::Lost => return Err(ConnectorError::io("injected: connection lost".into())),
            Fault::None | Fault::AnswerLost | Fault::Silence => {}
        }
        let (status, mut body) = match carry_out(&self.database, &call) {
            Ok(answer) => (200, answer),
            Err(error) => (error.status_code(), serde_json::from_str(&error.to_json()).unwrap_or_default()),
        };
        if let (200, Some(wire)) = (status, &self.wire) {
            wire.after(&call, &mut body);
        }
        tokio::task::yield_now().await;
        match fault {
            Fault::AnswerLost => Err(ConnectorError::io("injected: answer lost".into())),
            Fault::Silence => std::future::pending().await,
            _ => Ok((status, body)),
        }
    }
}

/// A transaction that is cancelled for a conflict, which the engine itself never has: it has one writer.
fn conflict(call: &Call) -> Value {
    let actions = call.body["TransactItems"].as_array().map(Vec::len).unwrap_or_default();
    let code = |place| if place == 0 { "TransactionConflict" } else { "None" };
    let reasons: Vec<Value> = (0..actions).map(|place| json!({ "Code": code(place) })).collect();
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "injected", "CancellationReasons": reasons,
    })
}

/// Calls the engine's method of the operation's name.
fn carry_out(database: &Database, call: &Call) -> Result<Value, DynoxideError> {
    macro_rules! operations {
        ($($name:literal => $method:ident),* $(,)?) => {
            match call.operation.as_str() {
                $($name => to_json(database.$method(from_json(&call.body)?)?),)*
                other => Err(DynoxideError::ValidationException(format!("the local stack knows no operation {other}"))),
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

fn to_json(answer: impl Serialize) -> Result<Value, DynoxideError> {
    serde_json::to_value(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().map(serde_json::from_slice).and_then(Result::ok).unwrap_or_default();
        let engine = self.clone();
        HttpConnectorFuture::new(async move {
            let (status, body) = engine.answer(Call { operation, body }).await?;
            let status = StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
            Ok(HttpResponse::new(status, SdkBody::from(body.to_string())))
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
