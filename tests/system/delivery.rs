//! Any delivery of any history leaves the views equal to the fold (invariants I6, I7 and I8).

use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::harness::{System, cancellation, order, shipment};

/// Commands to four orders. The orders may reject some of them.
fn history() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((0..4_usize, 0..3_u8), 1..16)
}

/// Batches of record indexes: some records are repeated, some are missing, in any order.
fn deliveries() -> impl Strategy<Value = Vec<Vec<prop::sample::Index>>> {
    prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 1..12), 0..8)
}

async fn execute(system: &System, history: &[(usize, u8)]) {
    let (alice, warehouse) = (system.customer("alice"), system.fulfilment());
    let mut ids = Vec::new();
    for number in 0..4 {
        let mut order = order();
        order["items"][0]["quantity"] = json!(number + 1);
        order["currency"] = json!(["EUR", "JPY"][number % 2]);
        let request = alice.post("/orders").json(&order).header("Idempotency-Key", &number.to_string());
        ids.push(request.await.expect(201).text("order_id"));
        system.clock.advance_ms(7 * 3_600_000);
    }
    for (order, command) in history {
        let id = &ids[*order];
        let answer = match command {
            0 => warehouse.post(format!("/orders/{id}/ship")).json(&shipment()).await,
            1 => warehouse.post(format!("/orders/{id}/deliver")).await,
            _ => alice.post(format!("/orders/{id}/cancel")).json(&cancellation()).await,
        };
        assert!([200, 409].contains(&answer.status));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_delivery_of_any_history_ends_in_the_fold(
        history in history(), deliveries in deliveries(), seed in any::<u64>(),
    ) {
        Runtime::new().unwrap().block_on(async {
            let system = System::start().await;
            execute(&system, &history).await;
            let records = system.stream_records().await;
            let mut before = system.view_versions().await;
            for delivery in &deliveries {
                let batch: Vec<_> = delivery.iter().map(|at| at.get(&records).clone()).collect();
                system.deliver(&batch).await;
                system.check_counters().await;
                let after = system.view_versions().await;
                assert!(before.iter().all(|(id, version)| after[id] >= *version), "the version of a view went down");
                before = after;
            }
            // Finally every record is delivered at least once, in some order.
            let mut rest = records.clone();
            rest.sort_by_key(|record| cqrs::derived_id(&[&seed.to_string(), &record.sequence_number]));
            for batch in rest.chunks(5) {
                system.deliver(batch).await;
                system.check_counters().await;
            }
            system.check_read_models().await;
        });
    }
}
