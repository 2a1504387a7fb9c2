//! Checks invariant I11: logs, metrics and problem documents contain no personal data.
//!
//! All tests use the same few names and addresses in their orders. All output of the system in all tests is searched
//! for them.

use std::{
    io,
    sync::{Mutex, Once},
};

use tracing_subscriber::filter::LevelFilter;

/// Personal data in the orders of the tests.
const PERSONAL_DATA: [&str; 6] = ["alice", "bob", "customer-", "Main Street", "JD0123456789", "changed my mind"];

/// All captured output, and the lines of it that contain personal data.
static CAPTURED: Mutex<LogCapture> = Mutex::new(LogCapture { lines: Vec::new(), found: Vec::new() });

struct LogCapture {
    lines: Vec<String>,
    found: Vec<String>,
}

/// Captures the log of this process from now on, in the form that the functions write on Lambda.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .json()
            .with_max_level(LevelFilter::INFO)
            .without_time()
            .with_writer(|| LogWriter)
            .init();
    });
}

/// Captures output that must contain no personal data.
pub fn record(source: &str, text: &str) {
    let mut captured = CAPTURED.lock().unwrap();
    if PERSONAL_DATA.iter().any(|word| text.contains(word)) {
        captured.found.push(format!("{source}: {text}"));
    }
    captured.lines.push(text.to_owned());
}

/// The number of captured lines that contain `text`.
pub fn count_lines(text: &str) -> usize {
    CAPTURED.lock().unwrap().lines.iter().filter(|line| line.contains(text)).count()
}

/// Panics if captured output contains personal data.
#[track_caller]
pub fn assert_clean() {
    let found = CAPTURED.lock().unwrap().found.clone();
    assert!(found.is_empty(), "output contains personal data: {found:#?}");
}

struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        record("log", &String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
