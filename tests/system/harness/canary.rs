//! Invariant I11: personal data goes into orders, and into nothing that is logged, measured or refused.
//!
//! The tests order under a few names, to a few addresses. Whatever any test makes the system write is searched for them.

use std::{
    io,
    sync::{Mutex, Once},
};

use tracing_subscriber::filter::LevelFilter;

/// What the tests put into orders that is about a person.
const PERSONAL_DATA: [&str; 6] = ["alice", "bob", "customer-", "Main Street", "JD0123456789", "changed my mind"];

/// All that was logged so far, and where personal data was found in it.
static CAPTURED: Mutex<LogCapture> = Mutex::new(LogCapture { lines: Vec::new(), found: Vec::new() });

struct LogCapture {
    lines: Vec<String>,
    found: Vec<String>,
}

/// Listens to the log of this process from now on: the lines that the functions write on Lambda, in the same form.
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

/// Notes what somebody wrote where no personal data may be.
pub fn record(source: &str, text: &str) {
    let mut captured = CAPTURED.lock().unwrap();
    if PERSONAL_DATA.iter().any(|word| text.contains(word)) {
        captured.found.push(format!("{source}: {text}"));
    }
    captured.lines.push(text.to_owned());
}

/// The lines of the log so far that contain this.
pub fn count_lines(text: &str) -> usize {
    CAPTURED.lock().unwrap().lines.iter().filter(|line| line.contains(text)).count()
}

/// No personal data was found so far.
#[track_caller]
pub fn assert_clean() {
    let found = CAPTURED.lock().unwrap().found.clone();
    assert!(found.is_empty(), "personal data: {found:#?}");
}

/// Where the log goes.
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
