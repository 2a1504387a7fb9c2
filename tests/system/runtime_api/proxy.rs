//! A proxy between a function in a child process and DynamoDB. It can interrupt a call.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use reqwest::Client;
use tokio::{net::TcpListener, sync::Mutex};

use crate::harness::System;

pub struct Proxy {
    pub url: String,
    calls: Arc<ProxyState>,
}

/// The phase of a call in which it is interrupted.
#[derive(Clone, Copy, Debug)]
pub enum CallPhase {
    /// Before DynamoDB gets the call.
    Before,
    /// After DynamoDB has executed the call, before the function gets the response.
    After,
}

type FaultAction = Box<dyn Fn() + Send>;

struct ProxyState {
    dynamodb: String,
    client: Client,
    seen: AtomicUsize,
    /// The number of a coming call, the phase, and the action. The call gets no response.
    action: Mutex<Option<(usize, CallPhase, FaultAction)>>,
}

impl Proxy {
    /// A proxy in front of the DynamoDB of `system`.
    pub async fn in_front_of(system: &System) -> Self {
        let dynamodb = system.dynamodb_url().await;
        let calls = ProxyState { dynamodb, client: Client::new(), seen: AtomicUsize::new(0), action: Mutex::default() };
        let calls = Arc::new(calls);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Router::new().fallback(pass).with_state(Arc::clone(&calls));
        tokio::spawn(async move { axum::serve(listener, proxy).await });
        Self { url, calls }
    }

    /// Runs `action` in this phase of the coming call with this number, from 0 on. The call gets no response.
    pub async fn on_call(&self, number: usize, phase: CallPhase, action: impl Fn() + Send + 'static) {
        self.calls.seen.store(0, Ordering::SeqCst);
        *self.calls.action.lock().await = Some((number, phase, Box::new(action)));
    }

    /// Removes the planned action. Returns whether it has run.
    pub async fn clear(&self) -> bool {
        self.calls.action.lock().await.take().is_none()
    }
}

async fn pass(State(calls): State<Arc<ProxyState>>, headers: HeaderMap, body: Bytes) -> Response {
    let number = calls.seen.fetch_add(1, Ordering::SeqCst);
    let planned_call = {
        let mut planned = calls.action.lock().await;
        if planned.as_ref().is_some_and(|(at, ..)| *at == number) { planned.take() } else { None }
    };
    if let Some((_, CallPhase::Before, action)) = &planned_call {
        action();
        return std::future::pending().await;
    }
    let mut request = calls.client.post(&calls.dynamodb).body(body);
    for name in ["content-type", "x-amz-target", "x-amz-date", "authorization"] {
        request = request.header(name, &headers[name]);
    }
    let answer = request.send().await.unwrap();
    let (status, body) = (StatusCode::from_u16(answer.status().as_u16()).unwrap(), answer.bytes().await.unwrap());
    if let Some((_, CallPhase::After, action)) = &planned_call {
        action();
        return std::future::pending().await;
    }
    (status, body).into_response()
}
