//! The process of shipping deadlines in the whole system: from the stream over the bus, the queue and the schedules to
//! the cancelled order.

use std::sync::{Arc, Mutex};

use deployment::deployment;
use local::testing::TestSystem;
use serde_json::{Value, json};

use crate::harness::{order, shipment};

/// The hours from the placement to the reminder, as the template sets them.
const HOURS_TO_REMINDER: u32 = 144;
/// The hours from the reminder to the deadline.
const HOURS_TO_DEADLINE: u32 = 24;

struct Deadlines {
    system: TestSystem,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Deadlines {
    async fn start() -> Self {
        let system = TestSystem::start(deployment()).await;
        let events = Arc::<Mutex<Vec<Value>>>::default();
        let heard = Arc::clone(&events);
        system.stack.messaging.on_event(move |_, event| heard.lock().unwrap().push(event.clone()));
        Self { system, events }
    }

    async fn places_order(&self) -> String {
        let alice = self.system.caller("alice", "orders/write");
        let id = alice.post("/orders", "first", order()).await.expect(201).text("order_id");
        self.system.settle().await;
        id
    }

    /// Advances the clock past the next timer, which fires within a minute, and delivers everything.
    async fn pass_hours(&self, hours: u32) {
        self.system.advance_ms(hours * 3_600_000 + 120_000);
        self.system.stack.messaging.fire_due_schedules().unwrap();
        self.system.settle().await;
    }

    async fn sweep(&self) {
        self.system.invoke("process", r#"{ "sweep": {} }"#).await;
        self.system.settle().await;
    }

    async fn status(&self, id: &str) -> Value {
        let admin = self.system.caller("admin", "orders/admin");
        admin.get(&format!("/orders/{id}")).await.expect(200).document["status"].clone()
    }

    /// The types of the events on the bus since the last time.
    fn take_types(&self) -> Vec<String> {
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        events.iter().map(|event| event["detail-type"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn an_order_that_is_not_shipped_in_time_is_cancelled_after_a_reminder() {
    let deadlines = Deadlines::start().await;
    let id = deadlines.places_order().await;
    assert_eq!(deadlines.take_types(), ["order.placed"]);
    deadlines.pass_hours(HOURS_TO_REMINDER).await;
    assert_eq!(
        (deadlines.take_types(), deadlines.status(&id).await),
        (vec!["order.shipping-reminded".to_owned()], json!("placed"))
    );
    deadlines.pass_hours(HOURS_TO_DEADLINE).await;
    assert_eq!(
        (deadlines.take_types(), deadlines.status(&id).await),
        (vec!["order.cancelled".to_owned()], json!("cancelled"))
    );
    deadlines.pass_hours(1000).await;
    deadlines.sweep().await;
    assert!(deadlines.take_types().is_empty());
}

#[tokio::test]
async fn a_shipped_order_is_neither_reminded_of_nor_cancelled() {
    let deadlines = Deadlines::start().await;
    let id = deadlines.places_order().await;
    let warehouse = deadlines.system.caller("warehouse", "orders/fulfil");
    warehouse.post(&format!("/orders/{id}/ship"), "ship", shipment()).await.expect(200);
    // The process hears of the shipment only after the deadline.
    deadlines.system.advance_ms((HOURS_TO_REMINDER + HOURS_TO_DEADLINE) * 3_600_000 + 120_000);
    deadlines.pass_hours(1).await;
    deadlines.sweep().await;
    assert_eq!(
        (deadlines.take_types(), deadlines.status(&id).await),
        (vec!["order.placed".to_owned(), "order.shipped".to_owned()], json!("shipped"))
    );
}

#[tokio::test]
async fn a_sweep_fires_the_timers_whose_signals_were_lost() {
    let deadlines = Deadlines::start().await;
    let id = deadlines.places_order().await;
    deadlines.take_types();
    deadlines.system.advance_ms((HOURS_TO_REMINDER + HOURS_TO_DEADLINE) * 3_600_000 + 300_000);
    // The signals of all schedules are lost.
    deadlines.system.stack.messaging.fire_due_schedules().unwrap();
    let sqs = deadlines.system.stack.sqs();
    let url = &deadlines.system.stack.queue("ProcessSignals").unwrap().url;
    sqs.purge_queue().queue_url(url).send().await.unwrap();
    assert_eq!(deadlines.status(&id).await, "placed");
    deadlines.sweep().await;
    let mut types = deadlines.take_types();
    types.sort();
    assert_eq!(
        (types, deadlines.status(&id).await),
        (vec!["order.cancelled".to_owned(), "order.shipping-reminded".to_owned()], json!("cancelled"))
    );
}
