//! The whole system under `--chaos`: invariants I1 to I9, and that a seed does the same again.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::future::join_all;
use local::chaos::Chaos;
use serde_json::{Value, json};

use crate::harness::{System, TestCaller, cancellation, engine, order, shipment};

async fn with_chaos(seed: u64, shards: usize) -> (System, Arc<Chaos>) {
    let chaos = Arc::new(Chaos::new(seed));
    let engine = engine().with_interceptor(chaos.clone());
    let faults = chaos.clone();
    (System::start_on(engine, move |mapping| mapping.with_shards(shards).with_chaos(faults)).await, chaos)
}

/// Ten orders of one customer, each with a life of its own. Gives the versions that were promised.
async fn live(system: &System, client: usize) -> Vec<(String, u64)> {
    let (customer, warehouse) = (system.customer(&format!("customer-{client}")), system.fulfilment());
    let mut promised = Vec::new();
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
        promised.push((id, version));
    }
    promised
}

/// Gives the kinds of trouble that there were.
async fn survives(seed: u64) -> BTreeSet<&'static str> {
    let (system, chaos) = with_chaos(seed, 4).await;
    let done = Cell::new(false);
    let clients = async {
        let promised = join_all((0..20).map(|client| live(&system, client))).await;
        done.set(true);
        promised
    };
    let projector = async {
        let mut before = system.view_versions().await;
        while !done.get() {
            if system.project_a_batch().await {
                system.check_counters().await;
                let after = system.view_versions().await;
                assert!(before.iter().all(|(id, version)| after[id] >= *version), "a version went down");
                before = after;
            }
        }
    };
    let (promised, ()) = tokio::join!(clients, projector);
    let promised: BTreeMap<String, u64> = promised.into_iter().flatten().collect();
    system.project().await;
    chaos.stop().await;
    system.project().await;
    system.check_read_models().await;

    // What was promised is there, and nothing else.
    let streams = system.streams().await;
    let there: BTreeMap<String, u64> =
        streams.iter().map(|(stream, commits)| (stream.key().to_owned(), commits.len() as u64)).collect();
    assert_eq!(there, promised, "seed {seed}");
    chaos.injected().into_keys().collect()
}

/// How many kinds of trouble there are.
const KINDS: usize = 15;

macro_rules! seeds {
    ($($name:ident: $seeds:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let mut kinds = BTreeSet::new();
                for seed in $seeds {
                    kinds.extend(survives(seed).await);
                }
                assert_eq!(kinds.len(), KINDS, "{kinds:?}");
            }
        )*
    };
}

// Four tests, so that they run beside each other.
seeds! {
    the_system_survives_chaos_1_to_5: 1..=5;
    the_system_survives_chaos_6_to_10: 6..=10;
    the_system_survives_chaos_11_to_15: 11..=15;
    the_system_survives_chaos_16_to_20: 16..=20;
}

/// One client, one command after the other, and the projector stepped after each.
async fn one_by_one(seed: u64) -> (BTreeMap<&'static str, u64>, Vec<u16>) {
    let (system, chaos) = with_chaos(seed, 1).await;
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
async fn the_same_seed_does_the_same() {
    let (first, again, other) = (one_by_one(7).await, one_by_one(7).await, one_by_one(8).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
}
