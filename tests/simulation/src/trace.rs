//! What happened in a run: its last steps in words, all of them as a hash, and what was done how often.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
};

use serde_json::Value;

use crate::clock::SimulatedClock;

/// How many steps are kept in words.
const LAST: usize = 60;

/// The trace of a run.
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
    /// An empty one.
    pub fn new(clock: SimulatedClock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Notes a step: `words` for those who read it, and all that belongs to it for the hash.
    pub fn record(&self, words: &str, whole: &Value) {
        let mut state = self.state.lock().unwrap();
        state.steps += 1;
        let line = format!("{:>9.3} s  {words}", self.clock.elapsed().as_secs_f64());
        line.hash(&mut state.hash);
        hash(whole, &mut state.hash);
        if state.last.len() == LAST {
            state.last.pop_front();
        }
        state.last.push_back(line);
    }

    /// Counts something that was done on purpose.
    pub fn count(&self, what: &'static str) {
        self.count_many(what, 1);
    }

    /// Counts it so many times.
    pub fn count_many(&self, what: &'static str, times: u64) {
        if times > 0 {
            *self.state.lock().unwrap().counts.entry(what).or_default() += times;
        }
    }

    /// Notes that an invariant does not hold. The first violation counts; what comes after may follow from it.
    pub fn report_violation(&self, what: String) {
        self.record(&format!("VIOLATED: {what}"), &Value::Null);
        self.state.lock().unwrap().violation.get_or_insert(what);
    }

    /// The first violation.
    pub fn violation(&self) -> Option<String> {
        self.state.lock().unwrap().violation.clone()
    }

    /// The last steps, a line each.
    pub fn last_steps(&self) -> Vec<String> {
        self.state.lock().unwrap().last.iter().cloned().collect()
    }

    /// How many steps there were, and the hash of all of them.
    pub fn steps_and_hash(&self) -> (u64, u64) {
        let state = self.state.lock().unwrap();
        (state.steps, state.hash.finish())
    }

    /// What was done how often.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().unwrap().counts.clone()
    }
}

/// Takes in a document, in an order of its own: that of a hash map differs from run to run.
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
