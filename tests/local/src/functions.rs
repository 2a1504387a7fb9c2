//! The functions, invoked as Lambda invokes them: with an event and a response in JSON, and a deadline.

pub mod invoke_api;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use app::HttpService;
use lambda_runtime::{Context, LambdaEvent};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub type Invocation = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

/// A Lambda function.
#[derive(Clone)]
pub struct Function {
    handler: Arc<dyn Fn(Value, Context) -> Invocation + Send + Sync>,
    timeout: Duration,
    invocations: Arc<AtomicU64>,
}

/// The reason why an invocation has no response.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// The function returned an error or panicked.
    #[error("{0}")]
    Failed(String),
    /// The function reached its timeout.
    #[error("the function exceeded its timeout of {0:?}")]
    TimedOut(Duration),
}

impl Function {
    /// A function with any handler.
    pub fn new(timeout: Duration, handler: impl Fn(Value, Context) -> Invocation + Send + Sync + 'static) -> Self {
        Self { handler: Arc::new(handler), timeout, invocations: Arc::default() }
    }

    /// A function that `lambda_runtime::run` would serve.
    pub fn from_handler<E, A, F>(
        timeout: Duration,
        handle: impl Fn(LambdaEvent<E>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        E: DeserializeOwned + Send,
        A: Serialize,
        F: Future<Output = Result<A, lambda_runtime::Error>> + Send,
    {
        Self::new(timeout, move |event, context| {
            let handle = handle.clone();
            Box::pin(async move {
                let event = serde_json::from_value(event).map_err(|error| error.to_string())?;
                let answer = handle(LambdaEvent::new(event, context)).await.map_err(|error| error.to_string())?;
                serde_json::to_value(answer).map_err(|error| error.to_string())
            })
        })
    }

    /// A function that `HttpFunction::run` would serve.
    pub fn from_service(service: HttpService, timeout: Duration) -> Self {
        Self::new(timeout, move |event, context| {
            let service = service.clone();
            Box::pin(async move {
                let answer = service.answer(LambdaEvent::new(event, context)).await;
                serde_json::to_value(answer).map_err(|error| error.to_string())
            })
        })
    }

    /// Starts an invocation at `now_ms`. It runs while it is polled, without a timeout.
    pub fn start(&self, event: Value, now_ms: i64) -> Invocation {
        let number = self.invocations.fetch_add(1, Ordering::Relaxed) + 1;
        let mut context = Context::default();
        context.request_id = format!("local-{number}");
        context.deadline =
            u64::try_from(now_ms).unwrap_or_default() + u64::try_from(self.timeout.as_millis()).unwrap_or_default();
        let handler = Arc::clone(&self.handler);
        Box::pin(async move { handler(event, context).await })
    }

    /// Invokes the function at `now_ms`, and aborts it after its timeout, as Lambda does.
    ///
    /// # Errors
    /// Fails with [`FunctionError`] if the function returns an error, panics or times out.
    pub async fn invoke(&self, event: Value, now_ms: i64) -> Result<Value, FunctionError> {
        // A panic or an abort in a separate task ends the invocation and not the stack.
        let mut invocation = tokio::spawn(self.start(event, now_ms));
        match tokio::time::timeout(self.timeout, &mut invocation).await {
            Ok(Ok(answer)) => answer.map_err(FunctionError::Failed),
            Ok(Err(panic)) => Err(FunctionError::Failed(panic.to_string())),
            Err(_) => {
                invocation.abort();
                Err(FunctionError::TimedOut(self.timeout))
            }
        }
    }
}
