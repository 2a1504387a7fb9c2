//! Replays the fuzzing corpus in `tests/fuzz`. No input may cause a panic.

use std::{
    cell::Cell,
    env, fs, panic,
    path::{Path, PathBuf},
    sync::Once,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

thread_local! {
    /// Set by a panic on this thread, caught or not.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// The files of the corpus for this target.
fn corpus(target: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// Installs a hook that records panics on this thread, including those that the projector catches.
fn watch_for_panics() {
    static INSTALL_HOOK: Once = Once::new();
    INSTALL_HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICKED.set(true);
            before(panic);
        }));
    });
}

/// Replays the corpus of a target.
fn replay(target: &str, decode: fn(&[u8])) {
    watch_for_panics();
    let files = corpus(target);
    assert!((10..=200).contains(&files.len()), "{} files", files.len());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        assert!(bytes.len() <= 4096, "{} is too large for the corpus", file.display());
        decode(&bytes);
        assert!(!PANICKED.get(), "{}", file.display());
    }
}

#[test]
fn no_request_body_of_the_corpus_makes_a_command_panic() {
    replay("body", fuzz::body);
}

#[test]
fn no_message_of_the_corpus_makes_the_command_queue_panic() {
    replay("message", fuzz::message);
}

#[test]
fn no_stream_record_of_the_corpus_makes_the_projector_panic() {
    replay("record", fuzz::record);
}

#[test]
fn no_cursor_of_the_corpus_makes_a_list_panic() {
    replay("cursor", fuzz::cursor);
}

#[test]
fn no_http_event_of_the_corpus_makes_a_function_panic() {
    replay("http_event", fuzz::http_event);
}

#[test]
fn no_stream_event_of_the_corpus_makes_the_projector_panic() {
    replay("stream_event", fuzz::stream_event);
}

/// A generator of pseudorandom numbers (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    /// Removes a random field of the document, or replaces a random node with a value from a pool or with `other`.
    fn change(&mut self, document: &mut Value, other: &Value) {
        let children = match &*document {
            Value::Object(fields) => fields.len(),
            Value::Array(values) => values.len(),
            _ => 0,
        };
        if children == 0 || self.below(5) == 0 {
            *document = self.value(other);
            return;
        }
        let at = self.below(children);
        match document {
            Value::Object(fields) if self.below(8) == 0 => {
                let name = fields.keys().nth(at).unwrap().clone();
                fields.remove(&name);
            }
            Value::Object(fields) => self.change(fields.values_mut().nth(at).unwrap(), other),
            Value::Array(values) => self.change(&mut values[at], other),
            _ => {}
        }
    }

    fn value(&mut self, other: &Value) -> Value {
        let texts =
            ["", " ", "\0", "%", "%41", "a b", "[a b]", "\u{feff}", "=&", "-1", "1e99", "order#1", "ä\"<>", "//", "{}"];
        match self.below(9) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!([-1.5, 1e300, 0.0][self.below(3)]),
            3 => json!([0, 1, u64::MAX][self.below(3)]),
            4 => json!([]),
            5 => json!({}),
            6 => other.clone(),
            _ => json!(texts[self.below(texts.len())]),
        }
    }
}

/// Changes documents of the corpus at random places: a thousand times, or for `FUZZ_SECONDS`. For a longer search that
/// is guided by coverage, see `docs/tools.md`.
#[allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a search takes as long as it is told")]
fn search(target: &str, decode: fn(&[u8])) {
    watch_for_panics();
    let documents: Vec<Value> =
        corpus(target).iter().filter_map(|file| serde_json::from_slice(&fs::read(file).unwrap()).ok()).collect();
    let seconds = env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let (began, mut random, mut runs) = (Instant::now(), Random(0x9e37_79b9_7f4a_7c15), 0);
    while seconds.map_or(runs < 1000, |seconds| began.elapsed() < Duration::from_secs(seconds)) {
        let mut document = documents[random.below(documents.len())].clone();
        for _ in 0..=random.below(4) {
            let other = documents[random.below(documents.len())].clone();
            random.change(&mut document, &other);
        }
        let bytes = document.to_string();
        decode(bytes.as_bytes());
        assert!(!PANICKED.get(), "{bytes}");
        runs += 1;
    }
    println!("{target}: {runs} runs");
}

#[test]
fn no_changed_http_event_makes_a_function_panic() {
    search("http_event", fuzz::http_event);
}

#[test]
fn no_changed_stream_event_makes_the_projector_panic() {
    search("stream_event", fuzz::stream_event);
}
