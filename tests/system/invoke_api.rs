//! The local stack with functions behind a Lambda Invoke API, like that of `cargo lambda watch` and
//! `sam local start-lambda`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::StatusCode;
use local::{Stack, functions::Function};
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::{System, engine, order, shipment};

/// The functions by name, and the time of all invocations.
type NamedFunctions = Arc<(BTreeMap<String, Function>, i64)>;

/// Serves the functions of `stack`. `name` chooses between the binary and the logical id as their name.
async fn serve(stack: &Stack, name: fn(&str, &str) -> String) -> String {
    let named = stack.template.functions.iter();
    let named = named.map(|(binary, function)| (name(binary, &function.id), stack.function(binary).unwrap().clone()));
    let functions: NamedFunctions = Arc::new((named.collect(), stack.app.dynamo.environment.now().as_millisecond()));
    let api = Router::new().route("/2015-03-31/functions/{name}/invocations", post(invoke)).with_state(functions);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, api).await });
    url
}

async fn invoke(State(functions): State<NamedFunctions>, Path(name): Path<String>, event: Bytes) -> Response {
    let Some(function) = functions.0.get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    match function.invoke(serde_json::from_slice(&event).unwrap(), functions.1).await {
        Ok(answer) => answer.to_string().into_response(),
        Err(error) => ([("X-Amz-Function-Error", "Unhandled")], error.to_string()).into_response(),
    }
}

async fn an_order_is_placed_shipped_and_shown(name: fn(&str, &str) -> String) {
    let system = System::start_on(engine(), |mapping| mapping).await;
    let url = serve(&system.stack, name).await;
    let system = system.with_functions_at(&url).await;
    let alice = system.customer("alice");
    let id = alice.places_order("first").await;
    assert_eq!(alice.post("/orders").json(&order()).header("Idempotency-Key", "first").await.expect(201).version(), 1);
    system.fulfilment().post(format!("/orders/{id}/ship")).json(&shipment()).await.expect(200);
    system.project().await;
    system.check_read_models().await;
    let list = alice.get("/customers/alice/orders").await.expect(200);
    assert_eq!(list.document["orders"][0]["status"], "shipped");
    assert_eq!(system.operator().get("/dashboard").await.expect(200).document["orders"], 1);
}

#[tokio::test]
async fn remote_functions_may_have_the_names_of_their_binaries() {
    an_order_is_placed_shipped_and_shown(|binary, _| binary.to_owned()).await;
}

#[tokio::test]
async fn remote_functions_may_have_their_logical_ids_as_names() {
    an_order_is_placed_shipped_and_shown(|_, id| id.to_owned()).await;
}

#[tokio::test]
async fn a_missing_remote_function_gets_500() {
    let system = System::start_on(engine(), |mapping| mapping).await;
    let url = serve(&system.stack, |_, _| "another".to_owned()).await;
    let system = system.with_functions_at(&url).await;
    let answer = system.customer("alice").post("/orders").json(&order()).await.expect(500);
    assert_eq!(answer.document, json!({ "message": "Internal Server Error" }));
}
