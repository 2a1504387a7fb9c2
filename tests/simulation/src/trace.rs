//! The trace of a run: its last steps as text, a hash of all steps, and the number of faults by kind.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
};

use serde_json::Value;

use crate::clock::SimulatedClock;

/// The number of steps that are kept as text.
const MAX_LAST_STEPS: usize = 60;

#[derive(Debug)]
pub struct Trace {
    clock: SimulatedClock,
    state: Mutex<TraceState>,
}

#[derive(Debug, Default)]
struct TraceState {
    steps: u64,
    hash: DefaultHasher,
    last: VecDeque<String>,
    counts: BTreeMap<&'static str, u64>,
    violation: Option<String>,
}

impl Trace {
    pub fn new(clock: SimulatedClock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Records a step: `text` for readers, and `content` for the hash.
    pub fn record(&self, text: &str, content: &Value) {
        let mut state = self.state.lock().unwrap();
        state.steps += 1;
        let line = format!("{:>9.3} s  {text}", self.clock.elapsed().as_secs_f64());
        line.hash(&mut state.hash);
        hash(content, &mut state.hash);
        if state.violation.is_some() {
            return;
        }
        if state.last.len() == MAX_LAST_STEPS {
            state.last.pop_front();
        }
        state.last.push_back(line);
    }

    pub fn count(&self, what: &'static str) {
        self.count_many(what, 1);
    }

    pub fn count_many(&self, what: &'static str, times: u64) {
        if times > 0 {
            *self.state.lock().unwrap().counts.entry(what).or_default() += times;
        }
    }

    /// Records a violation. Only the first one is kept, because later ones may follow from it.
    pub fn report_violation(&self, what: String) {
        self.record(&format!("VIOLATION: {what}"), &Value::Null);
        self.state.lock().unwrap().violation.get_or_insert(what);
    }

    pub fn violation(&self) -> Option<String> {
        self.state.lock().unwrap().violation.clone()
    }

    /// The last steps, one line each. They end with the violation, if there is one.
    pub fn last_steps(&self) -> Vec<String> {
        self.state.lock().unwrap().last.iter().cloned().collect()
    }

    pub fn steps_and_hash(&self) -> (u64, u64) {
        let state = self.state.lock().unwrap();
        (state.steps, state.hash.finish())
    }

    /// The number of faults and reactions, by kind.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().unwrap().counts.clone()
    }
}

/// Hashes a document with sorted fields: the order of a hash map differs between runs.
fn hash(document: &Value, hasher: &mut DefaultHasher) {
    match document {
        Value::Object(fields) => {
            fields.len().hash(hasher);
            for (name, value) in fields.iter().collect::<BTreeMap<_, _>>() {
                name.hash(hasher);
                hash(value, hasher);
            }
        }
        Value::Array(values) => {
            values.len().hash(hasher);
            values.iter().for_each(|value| hash(value, hasher));
        }
        other => other.to_string().hash(hasher),
    }
}
