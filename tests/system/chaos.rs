//! The whole system under `--chaos`: invariants I1 to I9 and I12, and the repeatability of a seed.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use check::consumer::{Consumer, Receipt};
use futures_util::future::join_all;
use local::chaos::Chaos;
use serde_json::{Value, json};

use crate::harness::{System, TestCaller, cancellation, engine, order, shipment, template};

async fn start_with_chaos(seed: u64, shards: usize) -> (System, Arc<Chaos>) {
    let chaos = Arc::new(Chaos::new(seed, &template()));
    let engine = engine().with_interceptor(chaos.clone());
    let faults = chaos.clone();
    (System::start_on(engine, move |mapping| mapping.with_shards(shards).with_chaos(faults)).await, chaos)
}

/// Sends the commands of ten orders of one customer. Returns the acknowledged version of each order.
async fn send_commands(system: &System, client: usize) -> Vec<(String, u64)> {
    let (customer, warehouse) = (system.customer(&format!("customer-{client}")), system.fulfilment());
    let mut acknowledged = Vec::new();
    for number in 0..10 {
        let placed = customer.send_until_answered("/orders", &order(), &format!("order-{number}")).await.expect(201);
        let id = placed.text("order_id");
        let mut version = 1;
        let steps: &[(&str, &TestCaller<'_>, Value)] = match number % 4 {
            0 => &[],
            1 => &[("ship", &warehouse, shipment())],
            2 => &[("ship", &warehouse, shipment()), ("deliver", &warehouse, json!({}))],
            _ => &[("cancel", &customer, cancellation())],
        };
        for (command, caller, body) in steps {
            let path = format!("/orders/{id}/{command}");
            let first = caller.send_until_answered(&path, body, command).await.expect(200).version();
            assert_eq!(caller.send_until_answered(&path, body, command).await.expect(200).version(), first);
            version = first;
        }
        acknowledged.push((id, version));
    }
    acknowledged
}

/// Runs 20 clients under a seed, and checks the invariants. Returns the kinds of the injected faults.
async fn check_seed(seed: u64) -> BTreeSet<&'static str> {
    let (system, chaos) = start_with_chaos(seed, 4).await;
    let done = Cell::new(false);
    let clients = async {
        let acknowledged = join_all((0..20).map(|client| send_commands(&system, client))).await;
        done.set(true);
        acknowledged
    };
    let projector = async {
        let mut before = system.view_versions().await;
        while !done.get() {
            if system.project_a_batch().await {
                system.check_counters().await;
                let after = system.view_versions().await;
                assert!(before.iter().all(|(id, version)| after[id] >= *version), "the version of a view went down");
                before = after;
            }
        }
    };
    let mut publishing = system.publishing_mapping().with_shards(4).with_chaos(chaos.clone());
    let publisher = async {
        while !done.get() {
            publishing.step().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (acknowledged, (), ()) = tokio::join!(clients, projector, publisher);
    let acknowledged: BTreeMap<String, u64> = acknowledged.into_iter().flatten().collect();
    system.project().await;
    publishing.drain().await.unwrap();
    chaos.stop().await;
    system.project().await;
    publishing.drain().await.unwrap();
    system.check_read_models().await;
    check_published(&system, &acknowledged, seed);

    // The event store contains the acknowledged commits and no others.
    let streams = system.streams().await;
    let stored: BTreeMap<String, u64> =
        streams.iter().map(|(stream, commits)| (stream.key().to_owned(), commits.len() as u64)).collect();
    assert_eq!(stored, acknowledged, "seed {seed}");
    chaos.injected().into_keys().collect()
}

/// Delivers the events on the bus to a consumer, in the opposite order and each twice. It must apply one event for each
/// commit of each order, in order.
fn check_published(system: &System, acknowledged: &BTreeMap<String, u64>, seed: u64) {
    let mut queue: Vec<Value> = system.take_published().into_iter().map(|event| event["detail"].clone()).collect();
    queue.extend(queue.clone());
    let (mut consumer, mut applied) = (Consumer::default(), BTreeMap::<String, Vec<String>>::new());
    loop {
        let before = queue.len();
        queue.reverse();
        queue.retain(|event| match consumer.receive(event).unwrap() {
            Receipt::Applied => {
                let text = |name: &str| event[name].as_str().unwrap().to_owned();
                applied.entry(text("subject")).or_default().push(text("id"));
                false
            }
            Receipt::Duplicate => false,
            Receipt::TooEarly => true,
        });
        if queue.len() == before {
            break;
        }
    }
    assert!(queue.is_empty(), "seed {seed}: a consumer waits for an event before {queue:?}");
    let ids = |order: &String, head: &u64| (1..=*head).map(|version| format!("order#{order}/{version}/0")).collect();
    let expected: BTreeMap<String, Vec<String>> =
        acknowledged.iter().map(|(order, head)| (format!("order#{order}"), ids(order, head))).collect();
    assert_eq!(applied, expected, "seed {seed}");
}

/// The number of kinds of faults that chaos injects.
const KINDS: usize = 21;

macro_rules! seeds {
    ($($name:ident: $seeds:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let mut kinds = BTreeSet::new();
                for seed in $seeds {
                    kinds.extend(check_seed(seed).await);
                }
                assert_eq!(kinds.len(), KINDS, "{kinds:?}");
            }
        )*
    };
}

// Four tests run concurrently.
seeds! {
    the_invariants_hold_under_chaos_1_to_5: 1..=5;
    the_invariants_hold_under_chaos_6_to_10: 6..=10;
    the_invariants_hold_under_chaos_11_to_15: 11..=15;
    the_invariants_hold_under_chaos_16_to_20: 16..=20;
}

/// Sends commands one after the other, and steps the projector after each one.
async fn one_by_one(seed: u64) -> (BTreeMap<&'static str, u64>, Vec<u16>) {
    let (system, chaos) = start_with_chaos(seed, 1).await;
    let customer = system.customer("alice");
    let mut statuses = Vec::new();
    for number in 0..40 {
        let placed = customer.send_until_answered("/orders", &order(), &number.to_string()).await;
        let path = format!("/orders/{}/cancel", placed.text("order_id"));
        let cancelled = customer.send_until_answered(&path, &cancellation(), "cancel").await;
        statuses.extend([placed.status, cancelled.status]);
        system.project().await;
    }
    (chaos.injected(), statuses)
}

#[tokio::test]
async fn the_same_seed_injects_the_same_faults() {
    let (first, again, other) = (one_by_one(7).await, one_by_one(7).await, one_by_one(8).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
}
