//! An interceptor between the functions and DynamoDB that records the cost of calls, and injects planned faults.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use local::engine::interceptor::{EngineCall, Fault, Interceptor};
use serde_json::{Value, json};
use tokio::sync::Notify;

#[derive(Default)]
pub struct TestInterceptor {
    faults: Mutex<Vec<PlannedFault>>,
    costs: Mutex<Vec<CallCost>>,
    leave_unprocessed: AtomicBool,
    rewrite: Mutex<Option<RequestRewrite>>,
    injected: Notify,
}

/// Matches every operation.
pub const ANY_OPERATION: &str = "any";

/// An operation, and a change to its requests.
type RequestRewrite = (&'static str, fn(&mut Value));

struct PlannedFault {
    operation: &'static str,
    /// Number of calls that pass before the fault.
    after: usize,
    fault: Fault,
    times: usize,
}

/// The capacity units of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallCost {
    pub operation: String,
    pub units: f64,
}

impl TestInterceptor {
    /// Injects the fault into the next `times` calls of the operation.
    pub fn inject(&self, operation: &'static str, fault: Fault, times: usize) {
        self.inject_after(operation, 0, fault, times);
    }

    /// Like [`inject`](Self::inject), after `after` calls.
    pub fn inject_after(&self, operation: &'static str, after: usize, fault: Fault, times: usize) {
        self.faults.lock().unwrap().push(PlannedFault { operation, after, fault, times });
    }

    /// Makes the next `BatchGetItem` leave all keys unprocessed.
    pub fn leave_unprocessed(&self) {
        self.leave_unprocessed.store(true, Ordering::SeqCst);
    }

    /// Changes all requests of the operation.
    pub fn rewrite(&self, operation: &'static str, change: fn(&mut Value)) {
        *self.rewrite.lock().unwrap() = Some((operation, change));
    }

    /// Waits until a fault is injected.
    pub async fn fault_injected(&self) {
        self.injected.notified().await;
    }

    pub fn clear_faults(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// The costs of the calls since the last time, in order.
    pub fn take_costs(&self) -> Vec<(String, f64)> {
        self.costs.lock().unwrap().drain(..).map(|cost| (cost.operation, cost.units)).collect()
    }
}

impl Interceptor for TestInterceptor {
    fn before(&self, call: &mut EngineCall) -> Fault {
        let metered = ["PutItem", "GetItem", "Query", "Scan", "BatchGetItem", "TransactWriteItems", "TransactGetItems"];
        if metered.contains(&call.operation.as_str()) {
            call.body["ReturnConsumedCapacity"] = json!("TOTAL");
        }
        if let Some((operation, change)) = *self.rewrite.lock().unwrap()
            && operation == call.operation
        {
            change(&mut call.body);
        }
        let mut faults = self.faults.lock().unwrap();
        for planned in faults.iter_mut().filter(|planned| {
            [call.operation.as_str(), ANY_OPERATION].contains(&planned.operation) && planned.times > 0
        }) {
            if planned.after > 0 {
                planned.after -= 1;
            } else {
                planned.times -= 1;
                self.injected.notify_one();
                return planned.fault;
            }
        }
        Fault::None
    }

    fn after(&self, call: &EngineCall, response: &mut Value) {
        if call.operation == "BatchGetItem" && self.leave_unprocessed.swap(false, Ordering::SeqCst) {
            let requested = call.body["RequestItems"].clone();
            *response = json!({ "Responses": {}, "UnprocessedKeys": requested });
        }
        let capacity = &response["ConsumedCapacity"];
        let units = |capacity: &Value| capacity["CapacityUnits"].as_f64().unwrap_or_default();
        let units = match capacity {
            Value::Array(tables) => tables.iter().map(units).sum(),
            one => units(one),
        };
        if !capacity.is_null() {
            self.costs.lock().unwrap().push(CallCost { operation: call.operation.clone(), units });
        }
    }
}
