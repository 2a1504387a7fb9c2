//! Streams of many commits. An order has few, so an aggregate of the simulation appends more of its events.

use app::App;
use cqrs::{Aggregate, CommandId, Event, Fingerprint, StreamId};
use cqrs_dynamodb::{CommandError, CommandRequest, execute};
use jiff::Timestamp;
use orders::OrderEvent;
use serde_json::json;
use tokio::time::sleep;

use crate::world::World;

/// An aggregate that cancels its order again with each command.
#[derive(Default)]
struct CancelledAgain;

impl Aggregate for CancelledAgain {
    type Key = String;
    type Command = u64;
    type Event = OrderEvent;
    type Rejection = ();

    fn decide(&self, number: u64, _: Timestamp) -> Result<Vec<OrderEvent>, ()> {
        let event = json!({ "type": "order.cancelled", "data": { "reason": format!("reason {number}") } });
        serde_json::from_value(event).map(|event| vec![event]).map_err(|_| ())
    }

    fn evolve(self, _: &OrderEvent) -> Self {
        self
    }
}

/// Appends up to `most` commits to the stream of an order, each until it has an outcome.
pub async fn lengthen(app: &App, world: &World, order: &str, most: u64) {
    world.trace.count("stream of many commits");
    for number in 0..1 + world.random.below(most) {
        let request = CommandRequest {
            stream: StreamId::of::<OrderEvent>(order),
            command_id: CommandId::derived("long", &number.to_string()),
            fingerprint: Fingerprint::of(&[OrderEvent::CATEGORY, &number.to_string()]),
            expected_version: None,
            caller: "long".to_owned(),
            // Unlike all other traces.
            trace: Some(format!("00-{:032x}-{:016x}-01", u128::from_be_bytes(world.random.bytes()), number + 1)),
            command: number,
        };
        while world.invariants_hold() {
            let Ok(events) = app.events() else { return };
            match execute::<CancelledAgain>(&events, &request, |_| true).await {
                Ok(_) => break,
                // The order was lost in a restore.
                Err(CommandError::NotFound) => return,
                Err(_) => sleep(world.random.duration_below(500)).await,
            }
        }
        sleep(world.random.duration_below(60)).await;
    }
}
