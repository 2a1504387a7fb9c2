//! The command queue function: each message of the queue executes one command on one order.
//! [`orders_api`] has the documents of the commands.

use app::{App, BatchResponse};
use lambda_runtime::{Error, LambdaEvent};
use messaging::CommandQueue;
use orders_api::{CancelOrderDocument, DeliverOrderDocument, PlaceOrderDocument, ShipOrderDocument};
use serde_json::Value;

pub fn queue() -> CommandQueue {
    CommandQueue::new()
        .command::<PlaceOrderDocument>()
        .command::<ShipOrderDocument>()
        .command::<DeliverOrderDocument>()
        .command::<CancelOrderDocument>()
}

/// Executes the commands of a batch of messages.
///
/// # Errors
/// Those of [`CommandQueue::handle`].
pub async fn handle(app: &App, event: LambdaEvent<Value>) -> Result<BatchResponse, Error> {
    queue().handle(app, event).await
}
