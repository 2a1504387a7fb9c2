//! Faults of the delivery: records that arrive after their successors, and records of newer code, which park their
//! stream.

use std::{sync::Arc, time::Duration};

use local::functions::Function;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{faults::make_event_unknown, world::World};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Wraps a reader of the stream. Leaves out the records of commits that a restore has removed.
fn without_lost_commits(reader: &Function, world: &Arc<World>) -> Function {
    let (reader, world) = (reader.clone(), Arc::clone(world));
    Function::new(TIMEOUT, move |mut event, _| {
        let lost = world.lost_commits.lock().unwrap();
        if let Some(records) = event["Records"].as_array_mut() {
            let hash = |record: &Value| record["dynamodb"]["NewImage"]["hash"].to_string();
            records.retain(|record| !lost.contains(&hash(record)));
        }
        reader.start(event, world.clock.now().as_millisecond())
    })
}

/// Wraps a reader of the stream. Delivers some records of a batch later and alone, and makes some unreadable.
pub fn with_faults(reader: &Function, world: &Arc<World>) -> Function {
    let (reader, world) = (without_lost_commits(reader, world), Arc::clone(world));
    Function::new(TIMEOUT, move |event, _| {
        let mut records = event["Records"].as_array().cloned().unwrap_or_default();
        for record in &mut records {
            if world.inject("record unknown to its reader", 20) {
                make_event_unknown(&mut record["dynamodb"]["NewImage"]);
            }
        }
        let is_late = |_: &Value| world.inject("record late", 150);
        let (late, in_time): (Vec<Value>, Vec<Value>) = records.into_iter().partition(is_late);
        let now = world.clock.now().as_millisecond();
        let in_time = reader.start(json!({ "Records": in_time }), now);
        let late = late.into_iter().map(|record| deliver_late(reader.clone(), Arc::clone(&world), record));
        let late: Vec<_> = late.collect();
        Box::pin(async move {
            late.into_iter().for_each(|record| drop(tokio::spawn(record)));
            in_time.await
        })
    })
}

/// Delivers the record later, and repeats it until the reader succeeds.
async fn deliver_late(reader: Function, world: Arc<World>, record: Value) {
    loop {
        sleep(world.random.duration_below(2000)).await;
        let now = world.clock.now().as_millisecond();
        let answer = reader.invoke(json!({ "Records": [record] }), now).await;
        if answer.is_ok_and(|answer| answer["batchItemFailures"].as_array().is_none_or(Vec::is_empty)) {
            return;
        }
    }
}
