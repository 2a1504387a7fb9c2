//! Invariant I11: personal data goes into orders, and into nothing that is logged, measured or refused.
//!
//! The tests order under a few names, to a few addresses. Whatever any test makes the system write is searched for them.

use std::{
    io,
    sync::{Mutex, Once},
};

use tracing_subscriber::filter::LevelFilter;

/// What the tests put into orders that is about a person.
const PERSONAL: [&str; 6] = ["alice", "bob", "customer-", "Main Street", "JD0123456789", "changed my mind"];

/// All that was logged so far, and where personal data was found in it.
static HEARD: Mutex<Heard> = Mutex::new(Heard { lines: Vec::new(), found: Vec::new() });

struct Heard {
    lines: Vec<String>,
    found: Vec<String>,
}

/// Listens to the log of this process from now on: the lines that the functions write on Lambda, in the same form.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt().json().with_max_level(LevelFilter::INFO).without_time().with_writer(|| Ear).init();
    });
}

/// Notes what somebody wrote where no personal data may be.
pub fn hear(where_: &str, text: &str) {
    let mut heard = HEARD.lock().unwrap();
    if PERSONAL.iter().any(|word| text.contains(word)) {
        heard.found.push(format!("{where_}: {text}"));
    }
    heard.lines.push(text.to_owned());
}

/// The lines of the log so far that contain this.
pub fn heard(text: &str) -> usize {
    HEARD.lock().unwrap().lines.iter().filter(|line| line.contains(text)).count()
}

/// No personal data was found so far.
#[track_caller]
pub fn expect_none() {
    let found = HEARD.lock().unwrap().found.clone();
    assert!(found.is_empty(), "personal data: {found:#?}");
}

/// Where the log goes.
struct Ear;

impl io::Write for Ear {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        hear("log", &String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
