//! What lies between a function in a process of its own and DynamoDB: it sees each call, and may interfere.

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

/// A DynamoDB as the function sees it.
pub struct Proxy {
    /// Where it is.
    pub url: String,
    calls: Arc<Calls>,
}

/// When something happens to a call.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// DynamoDB has not seen it.
    Before,
    /// DynamoDB has carried it out; the function has no answer yet.
    After,
}

type Strike = Box<dyn Fn() + Send>;

struct Calls {
    dynamodb: String,
    client: Client,
    seen: AtomicUsize,
    /// At which call of those to come, when, and what happens. The call is never answered.
    strike: Mutex<Option<(usize, Moment, Strike)>>,
}

impl Proxy {
    /// A proxy in front of the DynamoDB of `system`.
    pub async fn before(system: &System) -> Self {
        let dynamodb = system.dynamodb_url().await;
        let calls = Calls { dynamodb, client: Client::new(), seen: AtomicUsize::new(0), strike: Mutex::default() };
        let calls = Arc::new(calls);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Router::new().fallback(pass).with_state(Arc::clone(&calls));
        tokio::spawn(async move { axum::serve(listener, proxy).await });
        Self { url, calls }
    }

    /// The `number`th call from now on is never answered; instead, at this moment of it, `strike` happens.
    pub async fn strike(&self, number: usize, moment: Moment, strike: impl Fn() + Send + 'static) {
        self.calls.seen.store(0, Ordering::SeqCst);
        *self.calls.strike.lock().await = Some((number, moment, Box::new(strike)));
    }

    /// No more of that. Says whether it has happened.
    pub async fn mend(&self) -> bool {
        self.calls.strike.lock().await.take().is_none()
    }
}

async fn pass(State(calls): State<Arc<Calls>>, headers: HeaderMap, body: Bytes) -> Response {
    let number = calls.seen.fetch_add(1, Ordering::SeqCst);
    let struck = {
        let mut planned = calls.strike.lock().await;
        if planned.as_ref().is_some_and(|(at, ..)| *at == number) { planned.take() } else { None }
    };
    if let Some((_, Moment::Before, strike)) = &struck {
        strike();
        return std::future::pending().await;
    }
    let mut request = calls.client.post(&calls.dynamodb).body(body);
    for name in ["content-type", "x-amz-target", "x-amz-date", "authorization"] {
        request = request.header(name, &headers[name]);
    }
    let answer = request.send().await.unwrap();
    let (status, body) = (StatusCode::from_u16(answer.status().as_u16()).unwrap(), answer.bytes().await.unwrap());
    if let Some((_, Moment::After, strike)) = &struck {
        strike();
        return std::future::pending().await;
    }
    (status, body).into_response()
}
