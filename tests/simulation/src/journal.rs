//! What happened in a run: its last steps in words, all of them as a hash, and what was done how often.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
};

use serde_json::Value;

use crate::clock::Clock;

/// How many steps are kept in words.
const LAST: usize = 60;

/// The journal of a run.
#[derive(Debug)]
pub struct Journal {
    clock: Clock,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    steps: u64,
    hash: DefaultHasher,
    last: VecDeque<String>,
    done: BTreeMap<&'static str, u64>,
    violation: Option<String>,
}

impl Journal {
    /// An empty one.
    pub fn new(clock: Clock) -> Self {
        Self { clock, pages: Mutex::default() }
    }

    /// Notes a step: `words` for those who read it, and all that belongs to it for the hash.
    pub fn note(&self, words: &str, whole: &Value) {
        let mut pages = self.pages.lock().unwrap();
        pages.steps += 1;
        let line = format!("{:>9.3} s  {words}", self.clock.elapsed().as_secs_f64());
        line.hash(&mut pages.hash);
        hash(whole, &mut pages.hash);
        if pages.last.len() == LAST {
            pages.last.pop_front();
        }
        pages.last.push_back(line);
    }

    /// Counts something that was done on purpose.
    pub fn count(&self, what: &'static str) {
        self.count_many(what, 1);
    }

    /// Counts it so many times.
    pub fn count_many(&self, what: &'static str, times: u64) {
        if times > 0 {
            *self.pages.lock().unwrap().done.entry(what).or_default() += times;
        }
    }

    /// Notes that an invariant does not hold. The first violation counts; what comes after may follow from it.
    pub fn violated(&self, what: String) {
        self.note(&format!("VIOLATED: {what}"), &Value::Null);
        self.pages.lock().unwrap().violation.get_or_insert(what);
    }

    /// The first violation.
    pub fn violation(&self) -> Option<String> {
        self.pages.lock().unwrap().violation.clone()
    }

    /// The last steps, a line each.
    pub fn last_steps(&self) -> Vec<String> {
        self.pages.lock().unwrap().last.iter().cloned().collect()
    }

    /// How many steps there were, and the hash of all of them.
    pub fn steps_and_hash(&self) -> (u64, u64) {
        let pages = self.pages.lock().unwrap();
        (pages.steps, pages.hash.finish())
    }

    /// What was done how often.
    pub fn done(&self) -> BTreeMap<&'static str, u64> {
        self.pages.lock().unwrap().done.clone()
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
